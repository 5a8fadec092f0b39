package audit

import (
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/event"
)

// Appends that do not wait are answered once each, with positions that hold.
func TestAppendAsync(t *testing.T) {
	l := openLog(t, testOptions(t, 1))
	const n = 3000
	var mu sync.Mutex
	seqs := make(map[int]uint64)
	var wg sync.WaitGroup
	for i := 0; i < n; i += 2 {
		wg.Add(1)
		err := l.AppendAsync([]event.Event{started(i), started(i + 1)}, func(first Position, err error) {
			defer wg.Done()
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			seqs[i] = first.Seq
			mu.Unlock()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if len(seqs) != n/2 || l.Size() != n {
		t.Fatalf("%d answers, %d records", len(seqs), l.Size())
	}
	r := l.Reader(0)
	defer r.Close()
	lines := make(map[uint64]string)
	for r.Seq() < n {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		lines[rec.Seq] = string(rec.Ended())
	}
	for i, seq := range seqs {
		if lines[seq]+lines[seq+1] != startedLines(t, i, i+2) {
			t.Fatalf("events %d and %d are not at %d", i, i+1, seq)
		}
	}
}

// A failure reaches those that do not wait, and nobody is told twice.
func TestAppendAsyncFails(t *testing.T) {
	fsys := disktest.New(disk.OS{})
	o := testOptions(t, 1)
	o.FS = fsys
	l := openLog(t, o)
	release := make(chan struct{})
	fsys.SetFail(func(op disktest.Op) (error, bool) {
		if op.Name == "sync" && strings.HasSuffix(op.Path, ".jsonl") {
			<-release
			return syscall.EIO, false
		}
		return nil, false
	})
	answers := make(chan error, 10)
	for i := range 5 {
		if err := l.AppendAsync([]event.Event{started(i)}, func(_ Position, err error) { answers <- err }); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	doubt, poisoned := 0, 0
	for range 5 {
		switch err := <-answers; {
		case errors.Is(err, ErrInDoubt):
			doubt++
		case errors.Is(err, ErrPoisoned):
			poisoned++
		default:
			t.Errorf("answer: %v", err)
		}
	}
	if doubt != 1 || poisoned != 4 {
		t.Errorf("%d in doubt, %d refused", doubt, poisoned)
	}
	if err := l.AppendAsync([]event.Event{started(9)}, func(Position, error) { t.Error("called") }); !errors.Is(err, ErrPoisoned) {
		t.Errorf("after the failure: %v", err)
	}
}
