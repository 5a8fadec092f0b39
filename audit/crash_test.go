package audit

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

var crashSeeds = flag.Int("crash.seeds", 1, "random power cuts tried at each operation")

// life is what a log's owner did and was told, on a disk that fails.
type life struct {
	t     *testing.T
	disk  *disktest.Disk
	o     Options
	known map[uint64]string   // seq to line, of what was acknowledged
	heads []merkle.Checkpoint // what was signed and could have been sent
	next  int                 // number of the next event
}

func newLife(t *testing.T) *life {
	t.Helper()
	l := &life{t: t, disk: disktest.NewDisk(), known: make(map[uint64]string)}
	l.o = Options{
		Path: "/log/audit.jsonl", SignedPath: "/state/last-signed.json",
		Key: testKey(1), FS: l.disk, SegmentBytes: 300,
	}
	if err := InitSignedState(l.disk, l.o.SignedPath, merkle.PeerID(l.o.Key.Public().(edPublic))); err != nil {
		t.Fatal(err)
	}
	return l
}

// append gives the log some events. A log that does not take them is recovered
// as Run does, and they are given once more: in doubt, they may be there twice.
func (l *life) append(log *Log, n int) error {
	var events []event.Event
	for range n {
		events = append(events, started(l.next))
		l.next++
	}
	pos, err := log.AppendBatch(l.t.Context(), events)
	if err != nil {
		return err
	}
	for i, e := range events {
		l.known[pos.Seq+uint64(i)] = string(mustEncode(l.t, e))
	}
	return nil
}

func (l *life) sign(log *Log) error {
	err := log.Sign()
	if head, ok := log.Head(); ok && (len(l.heads) == 0 || head.Size > l.heads[len(l.heads)-1].Size) {
		l.heads = append(l.heads, head)
	}
	return err
}

// run is the life: opening, appending over several rotations, signing, retention of several segments at once,
// a failed sync with its recovery, closing, and all of it once more.
func (l *life) run() error {
	for range 2 {
		log, err := OpenOrCreate(l.o)
		if err != nil {
			return err
		}
		err = l.use(log)
		if l.alive() {
			err = errors.Join(err, log.Close())
		}
		if head, ok := log.Head(); ok && (len(l.heads) == 0 || head.Size > l.heads[len(l.heads)-1].Size) {
			l.heads = append(l.heads, head)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *life) alive() bool {
	_, err := l.disk.ReadDir("/log")
	return !errors.Is(err, disktest.ErrCrashed)
}

func (l *life) use(log *Log) error {
	for i := range 6 {
		if err := l.append(log, 1+i%3*2); err != nil {
			if !l.alive() {
				return err
			}
			if err := log.Recover(); err != nil {
				return err
			}
		}
		if i%2 == 0 {
			if err := l.sign(log); err != nil && !l.alive() {
				return err
			}
			// Ever fewer, so that several are removed at once.
			if err := retain(log, segment.Retention{Segments: 5 - i}); err != nil && !l.alive() {
				return err
			}
		}
	}
	return nil
}

// check opens the log after the power cut: what was acknowledged is at its place,
// what was signed is a prefix, nothing is unreadable, and the files verify.
func (l *life) check() error {
	log, err := OpenOrCreate(l.o)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	first := log.First()
	r := log.Reader(first)
	got := make(map[uint64]string)
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		got[rec.Seq] = string(rec.Ended())
		if _, err := event.Decode(rec.Line); err != nil {
			return fmt.Errorf("record %d is %q", rec.Seq, rec.Line)
		}
	}
	r.Close()
	for seq, line := range l.known {
		if seq >= first && got[seq] != line {
			return fmt.Errorf("record %d is %q, %q was acknowledged", seq, got[seq], line)
		}
	}
	for _, head := range l.heads {
		if head.Size < first {
			continue
		}
		if root, err := log.RootAt(head.Size); err != nil || root != head.Root {
			return fmt.Errorf("a checkpoint of %d records was signed, and taken back: %w", head.Size, err)
		}
	}
	if err := l.append(log, 2); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if err := log.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	rep, err := Verify(l.o.Path, VerifyOptions{FS: l.disk, SignedPath: l.o.SignedPath, Deep: true})
	if err != nil || len(rep.Problems) > 0 || rep.Unreadable > 0 {
		return fmt.Errorf("verify: %v %w", rep.Problems, err)
	}
	return nil
}

// failAt makes the k-th operation fail, as if it had taken effect or not, and
// crashes the machine there if crash is set. It says whether that came about.
func (l *life) failAt(k int, after, crash bool) *bool {
	n, hit := 0, new(bool)
	l.disk.SetFail(func(op disktest.Op) (error, bool) {
		if strings.Contains(op.Path, ".index") {
			return nil, false // derived: see TestIndexCannotBeWritten
		}
		n++
		if n-1 != k {
			return nil, false
		}
		*hit = true
		if crash {
			l.disk.Crash()
		}
		return syscall.EIO, after
	})
	return hit
}

// An operation fails, or the machine crashes at it, for every operation there is,
// in both ways: it had taken effect, or not. Of what was not synced nothing is
// kept, or all, or any part. Then the power cut may come once more, while the log
// is opened again.
func TestCrashAtEveryOperation(t *testing.T) {
	for variant := range 4 {
		after, crash := variant&1 > 0, variant&2 > 0
		t.Run(fmt.Sprintf("effect=%v,crash=%v", after, crash), func(t *testing.T) {
			t.Parallel()
			k := 0
			for crashAt(t, k, after, crash) {
				k++
			}
			if k < 100 {
				t.Errorf("%d operations: the life is too short", k)
			}
		})
	}
}

func crashAt(t *testing.T, k int, after, crash bool) (hit bool) {
	t.Helper()
	for cut := range 2 + *crashSeeds {
		l := newLife(t)
		rng := rand.New(rand.NewPCG(uint64(k), uint64(cut)))
		keep := disktest.KeepSome(rng)
		if cut < 2 {
			keep = func() bool { return cut == 1 }
		}
		failed := l.failAt(k, after, crash)
		err := l.run()
		hit = hit || *failed
		l.disk.Crash()
		l.disk.Restart(keep)
		if cut >= 2 { // and again, while it is opened
			l.failAt(rng.IntN(40), rng.IntN(2) == 0, true)
			if log, err := OpenOrCreate(l.o); err == nil {
				l.disk.Crash()
				log.Close()
			}
			l.disk.Crash()
			l.disk.Restart(keep)
		}
		if bad := l.check(); bad != nil {
			t.Fatalf("operation %d, cut %d (the life ended with %v): %v\n%s", k, cut, err, bad, l.disk)
		}
	}
	return hit
}

// Nobody waits for an index, and none is needed: it may fail at every operation.
func TestIndexCannotBeWritten(t *testing.T) {
	for k := 0; ; k++ {
		l := newLife(t)
		n, hit := 0, false
		l.disk.SetFail(func(op disktest.Op) (error, bool) {
			if !strings.Contains(op.Path, ".index") || op.Name == "remove" {
				return nil, false
			}
			n++
			hit = hit || n > k
			return map[bool]error{true: syscall.ENOSPC}[n > k], false
		})
		if err := l.run(); err != nil {
			t.Fatalf("operation %d: %v", k, err)
		}
		l.disk.SetFail(nil)
		if err := l.check(); err != nil {
			t.Fatalf("operation %d: %v", k, err)
		}
		if !hit {
			return
		}
	}
}
