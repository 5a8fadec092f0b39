package api

import (
	"context"
	"testing"
	"time"

	"auditmesh/crdt"
	"auditmesh/mirror"
)

func TestAhead(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	day := uint64(24 * 60 * 60 * 1000)
	for ms, want := range map[uint64]uint64{
		0: 0, 1_800_000_000_000 - 10*day: 0, 1_800_000_000_000: 0, 1_800_000_000_000 + day: 0,
		1_800_000_000_001 + day: day + 1, 1<<64 - 1: 1<<64 - 1 - 1_800_000_000_000,
	} {
		if got := Ahead(ms, now); got != want {
			t.Errorf("%d: %d, want %d", ms, got, want)
		}
	}
}

// What bears a time ahead of the node's clock says so in every answer that has it,
// and a page counts them.
func TestSkewIsInEveryAnswer(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	far := uint64(now.Add(100 * time.Hour).UnixMilli())
	f := &skewed{fake: fake{items: []crdt.Item{{Time: far}, {Time: 5}, {Time: far}}}, time: far}
	c, _ := serveUntil(t, f, func(s *Server) { s.now = func() time.Time { return now } })
	ahead := far - uint64(now.UnixMilli())
	page, err := c.Tasks(t.Context(), mirror.TaskQuery{})
	if err != nil || page.Ahead != 2 || page.Tasks[0].AheadMS != ahead || page.Tasks[1].AheadMS != 0 || page.Tasks[0].Time != far {
		t.Errorf("%+v, %v", page, err)
	}
	if items, err := c.Task(t.Context(), "0000"); err != nil || items[2].AheadMS != ahead || items[1].AheadMS != 0 {
		t.Errorf("%+v, %v", items, err)
	}
	var lines []LogLine
	if err := c.Log(t.Context(), LogQuery{Limit: 2}, func(l LogLine) error { lines = append(lines, l); return nil }); err != nil || len(lines) != 2 || lines[0].AheadMS != ahead {
		t.Errorf("%+v, %v", lines, err)
	}
}

// A page says which copies are damaged, and a stream of records how many are.
func TestDamagedCopiesAreInAnswers(t *testing.T) {
	f := &fake{status: Status{Damaged: map[string]string{"copies/a": "no head", "copies/b": "cut"}}}
	c := serve(t, f)
	if page, err := c.Tasks(t.Context(), mirror.TaskQuery{}); err != nil || page.Damaged["copies/a"] != "no head" {
		t.Errorf("%+v, %v", page, err)
	}
	resp, err := c.http.Get("http://node/v1/log?limit=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get(damagedHeader); got != "2" {
		t.Errorf("the header is %q", got)
	}
}

// skewed is a service whose records all bear one time.
type skewed struct {
	fake
	time uint64
}

func (s *skewed) Log(_ context.Context, q LogQuery, emit func(LogLine) error, _ func() error) error {
	for range q.Limit {
		if err := emit(LogLine{Time: s.time, Line: "{}"}); err != nil {
			return err
		}
	}
	return nil
}
