package mirror

import (
	"log/slog"
	"os"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/holdings"
)

// The view of a node whose log was removed while it was down is that of what is
// held, and not of what was once folded: equal holdings have equal views.
func TestViewForgetsALogThatIsGone(t *testing.T) {
	r := newReplica(t, 1)
	r.append(t, request(1, 1, "x"))
	r.fold(t)
	if err := r.m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(r.dir + "/log"); err != nil {
		t.Fatal(err)
	}
	h, err := holdings.Open(holdings.Options{FS: disk.OS{}, Dir: r.dir + "/copies", Evidence: r.dir + "/evidence"})
	if err != nil {
		t.Fatal(err)
	}
	m := New(r.dir+"/view", h, slog.New(slog.DiscardHandler))
	defer m.Close()
	if err := m.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := m.Tasks(TaskQuery{Limit: 10})
	if err != nil || len(page.Tasks) != 0 || m.Rebuilds() != 1 {
		t.Errorf("%d tasks, %d rebuilds, %v", len(page.Tasks), m.Rebuilds(), err)
	}
}

// Where retention did not wait for a view that could not be used, the status still
// answers, though what was folded is gone.
func TestStatusAfterUnseenRetention(t *testing.T) {
	r := newReplica(t, 1)
	for i := range 300 {
		r.append(t, request(byte(i), uint64(i+1), "some words that make a line of some length"))
		if i == 20 {
			r.fold(t)
		}
	}
	if err := r.log.Sign(); err != nil {
		t.Fatal(err)
	}
	segs := r.log.Segments()
	if segs < 3 {
		t.Fatalf("%d segments: the test is of more", segs)
	}
	name, _ := r.log.Name()
	if err := r.m.retireUnseen(r.log, name, 250); err != nil || r.log.First() <= 21 {
		t.Fatalf("the log begins at %d: %v", r.log.First(), err)
	}
	st, err := r.m.Status()
	if err != nil || len(st.Logs) != 1 || st.Logs[0].Folded != r.log.First() {
		t.Errorf("%+v, %v", st, err)
	}
}
