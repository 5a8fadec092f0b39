package audit

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/event"
)

// stall is a disk whose operations on some path do not end until they are let go.
type stall struct {
	reached chan struct{} // has one for each operation that was begun
	release chan struct{}
	once    sync.Once
}

// stallAt makes an operation on a path that contains part wait.
func stallAt(d *disktest.Disk, op, part string) *stall {
	s := &stall{reached: make(chan struct{}, 100), release: make(chan struct{})}
	d.SetFail(func(o disktest.Op) (error, bool) {
		if o.Name == op && strings.Contains(o.Path, part) {
			s.reached <- struct{}{}
			<-s.release
		}
		return nil, false
	})
	return s
}

func (s *stall) end() { s.once.Do(func() { close(s.release) }) }

func diskLog(t *testing.T) (*disktest.Disk, *Log) {
	t.Helper()
	d := disktest.NewDisk()
	o := Options{Path: "/log/audit.jsonl", SignedPath: "/state/last-signed.json", Key: testKey(1), FS: d}
	if err := InitSignedState(d, o.SignedPath, testPeer(o)); err != nil {
		t.Fatal(err)
	}
	return d, openLog(t, o)
}

// Fault 10: a sync stalls. Whoever leads an append, or waits to lead, or shares
// another's, is told in time that it is in doubt. The records are committed all the
// same, in order, and those who wait on get them acknowledged.
func TestAppendLeaderIsToldInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := diskLog(t)
		s := stallAt(d, "sync", "/log/audit-")
		type answer struct {
			pos  Position
			err  error
			took time.Duration
		}
		append := func(i int, wait time.Duration) chan answer {
			out := make(chan answer, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				defer cancel()
				begun := time.Now()
				pos, err := l.Append(ctx, started(i))
				out <- answer{pos, err, time.Since(begun)}
			}()
			synctest.Wait()
			return out
		}
		short := []chan answer{
			append(0, 1*time.Second), // leads, and its sync stalls
			append(1, 2*time.Second), // is to lead the next group
			append(2, 3*time.Second), // is in that group
		}
		long := append(3, time.Hour)
		for i, c := range short {
			a := <-c
			if !errors.Is(a.err, ErrInDoubt) || !errors.Is(a.err, context.DeadlineExceeded) || a.took > time.Duration(i+1)*time.Second {
				t.Errorf("append %d: %v after %v", i, a.err, a.took)
			}
		}
		s.end()
		if a := <-long; a.err != nil || a.pos.Seq != 3 {
			t.Errorf("who waited: %+v", a)
		}
		d.SetFail(nil)
		if got := heldLines(t, l); got != startedLines(t, 0, 4) {
			t.Errorf("the log has\n%s", got)
		}
		appendN(t, l, 4, 5)
	})
}

// The same for the leader of a group that formed while another was committed, whose
// own sync is the one that stalls; and the lines that were given are the caller's
// again.
func TestNextLeaderIsToldInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := diskLog(t)
		first := stallAt(d, "sync", "/log/audit-")
		go l.Append(t.Context(), started(0)) // see the lines below
		synctest.Wait()
		told := make(chan error, 1)
		lines := mustEncode(t, started(1))
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := l.AppendLines(ctx, lines, 1)
			clear(lines)
			told <- err
		}()
		synctest.Wait()
		second := stallAt(d, "write", "/log/audit-")
		first.end()
		synctest.Wait()
		if len(second.reached) != 1 {
			t.Fatal("the second does not lead")
		}
		if err := <-told; !errors.Is(err, ErrInDoubt) {
			t.Errorf("told %v", err)
		}
		second.end()
		synctest.Wait()
		if got := heldLines(t, l); got != startedLines(t, 0, 2) {
			t.Errorf("the log has\n%q", got)
		}
	})
}

// However long the disk takes with a sync, what a health check reads is answered.
func TestStateIsReadableDuringSync(t *testing.T) {
	for name, c := range map[string]struct {
		op, path string
		do       func(l *Log) error
	}{
		"checkpoint":        {"sync", "audit.checkpoints", (*Log).Sign},
		"last-signed state": {"sync", "last-signed", (*Log).Sign},
		"name of the state": {"syncdir", "/state", (*Log).Sign},
		"lines": {"sync", "/log/audit-", func(l *Log) error {
			_, err := l.Append(context.Background(), started(4))
			return err
		}},
		"retention": {"syncdir", "/log", func(l *Log) error { return l.Retire(l.Size()) }},
		"rotation": {"sync", ".segment", func(l *Log) error {
			before := l.Segments()
			l.opts.SegmentAge = 1
			if l.rotateAged(); l.Segments() != before+1 {
				return errors.New("it did not rotate")
			}
			return nil
		}},
		"recovery": {"sync", "/log/audit-", func(l *Log) error {
			l.mu.Lock()
			l.failed = errors.New("failed")
			l.mu.Unlock()
			return l.Recover()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := disktest.NewDisk()
			o := Options{Path: "/log/audit.jsonl", SignedPath: "/state/last-signed.json", Key: testKey(1), FS: d, SegmentBytes: 200}
			if err := InitSignedState(d, o.SignedPath, testPeer(o)); err != nil {
				t.Fatal(err)
			}
			l := openLog(t, o)
			for i := range 3 {
				appendN(t, l, i, i+1)
			}
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			if _, err := l.AppendBatch(t.Context(), []event.Event{started(3)}); err != nil {
				t.Fatal(err)
			}
			s := stallAt(d, c.op, c.path)
			ended := make(chan error, 1)
			go func() { ended <- c.do(l) }()
			select {
			case <-s.reached:
			case err := <-ended:
				t.Fatalf("nothing stalled: %v", err)
			}
			read := make(chan struct{})
			go func() {
				defer close(read)
				l.Head()
				l.SignedSize()
				l.Size()
				l.Name()
				l.Bytes()
				l.First()
				l.Space()
				l.Err() // that it answers
				l.LastFailure()
				l.WriteFailures()
				l.Batch(l.First()) // that it answers
			}()
			select {
			case <-read:
			case <-time.After(10 * time.Second): // only a failure takes that long
				t.Error("the state cannot be read while the disk stalls")
			}
			s.end()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			<-read
		})
	}
}
