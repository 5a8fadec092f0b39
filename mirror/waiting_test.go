package mirror

import (
	"context"
	"errors"
	"testing"
	"time"

	"auditmesh/audit/event"
)

// answers fails the test if f does not return, though a writer is stuck.
func answers(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s waits for a writer", what)
	}
}

// Status answers while a step of the fold, its commit, or a rebuild is stuck, and
// then says what the last step left, over a restart too.
func TestStatusWaitsForNoWriter(t *testing.T) {
	reps := population(t, 60)
	r := reps[0]
	want := mustStatus(t, r)
	for i, l := range want.Logs {
		if l.Folded != l.Size || l.Folded == 0 || l.LastTime == 0 || l.Most < l.LastTime || l.Received.IsZero() {
			t.Errorf("log %d: %+v", i, l)
		}
		want.Logs[i].Received = time.Time{}
	}
	deep, _, _, err := r.m.Deep(t.Context())
	if err != nil || deep.Digest != want.Digest || deep.Holdings != want.Holdings {
		t.Errorf("by the rows %+v, %v, want %+v", deep, err, want)
	}
	r.reopen(t)
	r.m.stepping.Lock()
	r.m.mu.Lock()
	store := r.m.store
	r.m.store = nil // nothing of it is asked: its own locks are those of a stuck writer too
	defer func() {
		r.m.store = store
		r.m.mu.Unlock()
		r.m.stepping.Unlock()
	}()
	answers(t, "the status", func() {
		st, err := r.m.Status()
		if err != nil || st.Digest != want.Digest || st.Holdings != want.Holdings || len(st.Logs) != len(want.Logs) || st.Logs[0] != want.Logs[0] {
			t.Errorf("%+v, %v, want %+v", st, err, want)
		}
	})
}

// What the status says is in the view: a rebuild is told like the fold.
func TestStatusOverRebuild(t *testing.T) {
	r := newReplica(t, 1)
	r.append(t, request(1, 1000, "ls"))
	r.fold(t)
	if err := r.m.rebuild(); err != nil {
		t.Fatal(err)
	}
	if l := mustStatus(t, r).Logs[0]; l.Folded != 0 || l.Size != 1 {
		t.Errorf("a view that was just made anew: %+v", l)
	}
	at := time.UnixMilli(5000)
	r.m.now = func() time.Time { return at }
	r.fold(t)
	if l := mustStatus(t, r).Logs[0]; l.Folded != 1 || l.LastTime != 1000 || l.Most != 1000 || !l.Received.Equal(at) {
		t.Errorf("after the fold: %+v", l)
	}
}

// leaving is a context whose client leaves after it was asked so often.
type leaving struct {
	context.Context
	left int
}

func (l *leaving) Err() error {
	if l.left--; l.left < 0 {
		return context.Canceled
	}
	return nil
}

// Going through the whole view ends once nobody waits for it.
func TestDeepEndsWithItsClient(t *testing.T) {
	r := newReplica(t, 1)
	for i := range 50 {
		r.append(t, &event.Request{TSUnixMS: 1000, RequestID: event.RequestID{byte(i)}, Argv: []string{"ls"}})
	}
	r.fold(t)
	ctx := &leaving{t.Context(), 3}
	if _, _, tasks, err := r.m.Deep(ctx); !errors.Is(err, context.Canceled) || tasks > 5 {
		t.Errorf("it went through %d tasks: %v", tasks, err)
	}
	if _, _, tasks, err := r.m.Deep(t.Context()); err != nil || tasks != 50 {
		t.Errorf("%d tasks, %v", tasks, err)
	}
}
