package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/merkle"
	"auditmesh/internal/api"
	"auditmesh/mirror"
)

// start runs a node in a new directory, and returns it with a client and what
// stops it.
func start(t *testing.T, dir string) (*Node, *api.Client, func() error) {
	t.Helper()
	cfg, err := LoadConfig(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return errors.Join(<-done, n.Close())
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	client := api.NewClient(cfg.SocketPath())
	await(t, "the node answers", func() bool { _, err := client.Identity(t.Context()); return err == nil })
	return n, client, stop
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// folded waits until all that is durable is in the view.
func folded(t *testing.T, n *Node) api.Status {
	t.Helper()
	var st api.Status
	await(t, "all is in the view", func() bool {
		var err error
		st, err = n.Status(t.Context(), false)
		return err == nil && st.Unfolded == 0
	})
	return st
}

// What is no event is refused as what it is: never as a failure of the node, which
// would say that its own log says why.
func TestWhatIsWrongIsRefusedAsSuch(t *testing.T) {
	n, c, _ := start(t, t.TempDir())
	for name, input := range map[string]string{
		"no JSON": `{"event":`, "text": "hello", "an array": `[1,2]`, "a string": `"x-a"`, "null": "null", "a number": "12", "two objects": `{"event":"x-a"} {"event":"x-b"}`,
		"no UTF-8": "{\"event\":\"x-\xff\"}", "doubled": `{"event":"x-a","event":"x-b"}`, "no event": `{}`, "unknown": `{"event":"y"}`,
		"bad field": `{"event":"x-a","ts_unix_ms":-1}`, "deep": `{"event":"x-a","a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`,
		"long": `{"event":"x-a","a":"` + strings.Repeat("x", merkle.MaxLine-30) + `"}`,
	} {
		for _, out := range [][]api.Appended{n.Append(t.Context(), [][]byte{[]byte(input)}), AppendInputs(t.Context(), nil, [][]byte{[]byte(input)})} {
			if r := out[0].Error; r == nil || r.Code != "invalid_event" || strings.Contains(r.Message, "failed to answer") {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
	if out, err := c.Append(t.Context(), []byte(`{"event":`), []byte(`{"event":"x-a"}`)); err != nil || out[0].Err() == nil || out[1].Err() != nil {
		t.Errorf("beside one that is right: %+v, %v", out, err)
	}
	for name, ask := range map[string]func() error{
		"review":     func() error { _, err := c.Review(t.Context(), api.Review{Action: "eat", Request: "0000"}); return err },
		"review id":  func() error { _, err := c.Review(t.Context(), api.Review{Action: "claim", Request: "zz"}); return err },
		"remove":     func() error { _, err := c.Remove(t.Context(), api.Removal{}); return err },
		"task":       func() error { _, err := c.Task(t.Context(), "zz"); return err },
		"cursor":     func() error { _, err := c.Tasks(t.Context(), mirror.TaskQuery{After: "?"}); return err },
		"proof":      func() error { _, err := c.Prove(t.Context(), "nobody", "", 0); return err },
		"beyond":     func() error { _, err := c.Prove(t.Context(), "", "", 1<<40); return err },
		"checkpoint": func() error { _, err := c.Extends(t.Context(), []byte("no note")); return err },
		"raw":        func() error { return c.Raw(t.Context(), "nobody", "", new(bytes.Buffer)) },
	} {
		var r *api.Refusal
		if err := ask(); !errors.As(err, &r) || r.Code == "internal" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Health rests on memory: a node without a view, and without copies, has it.
func TestVitalsNeedNoView(t *testing.T) {
	path := ""
	n := &Node{cfg: Config{AuditLogPath: &path}}
	if h := api.HealthOf(n.Vitals()); h.Status != "ok" {
		t.Errorf("%+v", h)
	}
}

// A record from a clock that is wrong says so at its log, both ways.
func TestStatusShowsSkew(t *testing.T) {
	n, c, _ := start(t, t.TempDir())
	now := time.Now()
	day := uint64(24 * 60 * 60 * 1000)
	held := func() (h api.Held) {
		for _, h = range folded(t, n).Vector {
		}
		return h
	}
	appendAt := func(ms uint64) {
		t.Helper()
		if out, err := c.Append(t.Context(), fmt.Appendf(nil, `{"event":"x-a","ts_unix_ms":%d}`, ms)); err != nil || out[0].Err() != nil {
			t.Fatal(out, err)
		}
	}
	at := uint64(now.UnixMilli())
	appendAt(at)
	if h := held(); h.AheadMS != 0 || h.BehindMS != 0 || h.LastTime != at || h.Received < at {
		t.Errorf("a right clock: %+v", h)
	}
	appendAt(at - 10*day)
	if h := held(); h.AheadMS != 0 || h.BehindMS < 9*day || h.BehindMS > 11*day {
		t.Errorf("a clock that is behind: %+v", h)
	}
	appendAt(at + 10*day)
	appendAt(at) // what stands at the top is not the last
	if h := held(); h.BehindMS != 0 || h.AheadMS < 9*day || h.AheadMS > 11*day {
		t.Errorf("a clock that was ahead: %+v", h)
	}
	n.now = func() time.Time { return now.Add(11 * 24 * time.Hour) }
	if h := held(); h.AheadMS != 0 {
		t.Errorf("once the time has come: %+v", h)
	}
}

// A copy that is damaged is missed nowhere without a word: records that the view
// has stand where they stood, lines that cannot be given whole are refused, and
// health and status name it.
func TestDamagedCopyIsMissedAloud(t *testing.T) {
	dir, otherDir := t.TempDir(), t.TempDir()
	other, otherClient, _ := start(t, otherDir)
	for i := range 3 {
		if out, err := otherClient.Append(t.Context(), fmt.Appendf(nil, `{"event":"x-a","n":%d}`, i)); err != nil || out[0].Err() != nil {
			t.Fatal(out, err)
		}
	}
	n, c, stop := start(t, dir)
	if err := other.log.Sign(); err != nil {
		t.Fatal(err)
	}
	b, err := other.log.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	v, err := b.Verify()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.holdings.Extend(v); err != nil {
		t.Fatal(err)
	}
	await(t, "the copy is in the view", func() bool {
		st, err := n.Status(t.Context(), false)
		return err == nil && len(st.Vector) == 1 && st.Unfolded == 0
	})
	if out, err := c.Append(t.Context(), []byte(`{"event":"x-own"}`)); err != nil || out[0].Err() != nil {
		t.Fatal(out, err)
	}
	folded(t, n)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	name, _ := other.log.Name()
	copyDir := audit.CopyDir(filepath.Join(dir, "copies"), name)
	lines, err := filepath.Glob(filepath.Join(copyDir, "*.jsonl"))
	if err != nil || len(lines) == 0 {
		t.Fatal(lines, err)
	}
	raw, err := os.ReadFile(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[20] ^= 1
	if err := os.WriteFile(lines[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}

	n, c, _ = start(t, dir)
	st := folded(t, n)
	if st.Damaged[copyDir] == "" || api.HealthOf(n.Vitals()).Status != "degraded" {
		t.Fatalf("damaged: %v", st.Damaged)
	}
	if page, err := c.Tasks(t.Context(), mirror.TaskQuery{}); err != nil || page.Damaged[copyDir] == "" {
		t.Errorf("tasks: %+v, %v", page, err)
	}
	own, lost := 0, 0
	if err := c.Log(t.Context(), api.LogQuery{Limit: 10}, func(l api.LogLine) error {
		switch {
		case l.Node == st.Node && l.Line != "":
			own++
		case l.Node == name.Peer && l.Line == "" && strings.Contains(l.Unavailable, copyDir):
			lost++
		}
		return nil
	}); err != nil || own != 1 || lost != 3 {
		t.Errorf("log: %d own records and %d that are said to be damaged, %v", own, lost, err)
	}
	for what, ask := range map[string]func() error{
		"raw":        func() error { return c.Raw(t.Context(), name.Peer, "", new(bytes.Buffer)) },
		"raw, log":   func() error { return c.Raw(t.Context(), name.Peer, name.IDString(), new(bytes.Buffer)) },
		"proof":      func() error { _, err := c.Prove(t.Context(), name.Peer, "", 0); return err },
		"checkpoint": func() error { _, err := c.Checkpoint(t.Context(), name.Peer, ""); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := c.Raw(t.Context(), "", "", new(bytes.Buffer)); err != nil {
		t.Errorf("the own lines: %v", err)
	}
}

// An idle follower holds no file open.
func TestIdleFollowerHoldsNoFile(t *testing.T) {
	n, c, _ := start(t, t.TempDir())
	if out, err := c.Append(t.Context(), []byte(`{"event":"x-a"}`)); err != nil || out[0].Err() != nil {
		t.Fatal(out, err)
	}
	folded(t, n)
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	before := open()
	idle, done := make(chan struct{}), make(chan error)
	const followers = 20
	for range followers {
		go func() {
			done <- n.Log(ctx, api.LogQuery{Limit: 1, Follow: true}, func(api.LogLine) error { return nil }, func() error { idle <- struct{}{}; return nil })
		}()
		<-idle
	}
	await(t, "their files are closed", func() bool { return open() <= before+2 })
	leave()
	for range followers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
