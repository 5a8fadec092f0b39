package mirror

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"auditmesh/audit/segment"
)

// unusable makes the view's place one where nothing can be opened; mend ends that.
func unusable(t *testing.T, m *Mirror) (mend func()) {
	t.Helper()
	was := m.dir
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.dir = filepath.Join(file, "view") // not a directory, for root too
	return func() { m.dir = was }
}

// A rebuild that fails leaves a view that says why, refuses questions, folds
// nothing, and comes back when it is tried again.
func TestRebuildThatFails(t *testing.T) {
	a := newReplica(t, 1)
	a.append(t, request(1, 1, "x"))
	a.fold(t)
	before, _, _ := a.deep(t)
	mend := unusable(t, a.m)
	for range 2 {
		if err := a.m.rebuild(); err == nil {
			t.Fatal("it was rebuilt in a file")
		}
		if err := a.m.Err(); err == nil || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("the view says %v", err)
		}
		if _, err := a.m.Tasks(TaskQuery{}); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("a question: %v", err)
		}
		if _, err := a.m.Tasks(TaskQuery{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("to a client it is not as if no answer came: %v", err)
		}
		if err := a.m.foldAll(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("the fold: %v", err)
		}
	}
	mend()
	if err := a.m.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.m.Err(); err != nil {
		t.Errorf("it still says %v", err)
	}
	if after, _, _ := a.deep(t); after != before {
		t.Errorf("%+v, before %+v", after, before)
	}
}

// Run tries again until the database can be opened.
func TestRunTriesAgain(t *testing.T) {
	a := newReplica(t, 1)
	a.append(t, request(1, 1, "x"))
	m := New(filepath.Join(t.TempDir(), "view"), a.h, slog.New(slog.DiscardHandler))
	if err := m.Err(); err != nil {
		t.Errorf("before it ran: %v", err)
	}
	blocked := m.dir
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	wait(t, "it says why", func() bool { return m.Err() != nil })
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	wait(t, "it is there", func() bool {
		st, err := m.Status()
		return err == nil && len(st.Logs) == 1 && st.Logs[0].Folded == 1 && m.Err() == nil
	})
	cancel()
	if err := errors.Join(<-ended, m.Close()); err != nil {
		t.Error(err)
	}
	if _, err := m.Tasks(TaskQuery{}); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not yet: " + what)
		}
	}
}

// After a write that failed the database is read, not written, until it is opened
// anew; it is opened anew only when its disk takes writes.
func TestWriteThatFails(t *testing.T) {
	a := newReplica(t, 1)
	a.append(t, request(1, 1, "x"))
	a.fold(t)
	a.m.store.MarkBroken()
	if _, broken := a.m.isOpen(); !broken {
		t.Fatal("it would be written again")
	}
	a.append(t, request(2, 2, "y"))
	first := a.m.store
	mend := unusable(t, a.m)
	if err := a.m.advance(t.Context()); err == nil || a.m.store != first {
		t.Fatalf("opened anew on a disk that takes no writes: %v", err)
	}
	if _, _, n := a.deep(t); n != 1 {
		t.Errorf("%d tasks can be read", n)
	}
	mend()
	if err := a.m.advance(t.Context()); err != nil || a.m.store == first {
		t.Fatalf("not opened anew: %v", err)
	}
	if _, _, n := a.deep(t); n != 2 {
		t.Errorf("%d tasks", n)
	}
	left, err := filepath.Glob(filepath.Join(a.dir, "view", "probe-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// While a write hangs, questions are refused in place of hanging too, and retention
// removes segments all the same: the view finds that it contradicts the files.
func TestWriteThatHangs(t *testing.T) {
	a := newReplica(t, 1)
	for i := range 200 {
		a.append(t, request(byte(i), uint64(i+1), strings.Repeat("x", 500)))
	}
	a.fold(t)
	if err := a.log.Sign(); err != nil {
		t.Fatal(err)
	}
	name, _ := a.log.Name()
	first, err := a.log.Retirable(segment.Retention{Segments: 2}, time.Now())
	if err != nil || first == 0 {
		t.Fatalf("nothing to retire: %d, %v", first, err)
	}
	a.m.writing.Store(time.Now().Add(-time.Minute).UnixNano())
	if err := a.m.Err(); err == nil || !strings.Contains(err.Error(), "has not ended for 1m0s") {
		t.Errorf("it says %v", err)
	}
	if _, err := a.m.Tasks(TaskQuery{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a question: %v", err)
	}
	a.m.mu.RLock() // as the step does whose write hangs
	a.m.stepping.Lock()
	err = a.m.Retire(t.Context(), name, first)
	a.m.stepping.Unlock()
	a.m.mu.RUnlock()
	if err != nil || a.log.First() != first {
		t.Fatalf("the log begins at %d, not %d: %v", a.log.First(), first, err)
	}
	a.m.writing.Store(0)
	had := a.m.Rebuilds()
	if err := a.m.advance(t.Context()); err != nil || a.m.Rebuilds() != had+1 {
		t.Fatalf("%d rebuilds, %v", a.m.Rebuilds(), err)
	}
	if _, _, n := a.deep(t); n != 200-first {
		t.Errorf("%d tasks, %d records are held", n, 200-first)
	}
}

// Shutdown gives up at the end of its context, when the database does not let go.
func TestShutdownGivesUp(t *testing.T) {
	a := newReplica(t, 1)
	a.m.mu.RLock() // as a step does whose write hangs
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := a.m.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "given up") {
		t.Errorf("it said %v", err)
	}
	a.m.mu.RUnlock()
	if err := a.m.Close(); err != nil { // waits for the first
		t.Error(err)
	}
}

// A question waits for a database that is being opened, and not for ever; whoever
// asks for the state does not wait, and hears of it once it takes long.
func TestQuestionsWaitForTheOpening(t *testing.T) {
	h := newReplica(t, 1).h
	synctest.Test(t, func(t *testing.T) {
		m := New("/nowhere", h, slog.New(slog.DiscardHandler))
		begin := time.Now()
		if _, err := m.Tasks(TaskQuery{}); !errors.Is(err, ErrUnavailable) || time.Since(begin) != openWait {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
		if err := m.Err(); err != nil {
			t.Errorf("early: %v", err)
		}
		time.Sleep(stallAfter)
		if err := m.Err(); !errors.Is(err, errOpening) {
			t.Errorf("late: %v", err)
		}
	})
}
