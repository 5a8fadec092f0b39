package audit

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// smallDisk is a disk that says how much is free, and is full at will.
type smallDisk struct {
	*disktest.Disk
	free atomic.Uint64
}

func (d *smallDisk) Free(string) (uint64, error) { return d.free.Load(), nil }

func newSmallDisk(t *testing.T) (*smallDisk, Options) {
	t.Helper()
	d := &smallDisk{Disk: disktest.NewDisk()}
	d.free.Store(1 << 30)
	o := Options{Path: "/log/audit.jsonl", SignedPath: "/state/signed.json", Key: testKey(1), FS: d, MinFree: 1 << 20}
	if err := InitSignedState(d, o.SignedPath, merkle.PeerID(o.Key.Public().(edPublic))); err != nil {
		t.Fatal(err)
	}
	return d, o
}

// eventsOf are the records with that event's name.
func eventsOf[T event.Event](t *testing.T, l *Log) (list []T) {
	t.Helper()
	r := l.Reader(0)
	defer r.Close()
	for r.Seq() < l.Size() {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.Decode(rec.Line)
		if e, ok := e.(T); ok && err == nil {
			list = append(list, e)
		}
	}
	return list
}

// Faults 1 and 2: the log recovers by itself, with growing pauses, once the disk
// answers again, and says in a record of its own for how long it could not be
// written, why, and how many events that cost.
func TestFailureIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, o := newSmallDisk(t)
		l := openLog(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		appendN(t, l, 0, 5)
		d.SetFail(func(op disktest.Op) (error, bool) {
			if op.Name == "sync" || op.Name == "write" {
				return syscall.EIO, false
			}
			return nil, false
		})
		start := time.Now()
		if _, err := l.Append(ctx, started(5)); !errors.Is(err, ErrInDoubt) {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := l.AppendBatch(ctx, []event.Event{started(6), started(7)}); !errors.Is(err, ErrPoisoned) {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if l.Err() == nil {
			t.Fatal("well on a disk that fails")
		}
		d.SetFail(nil)
		time.Sleep(slowedRecovery)
		synctest.Wait()
		if err := l.Err(); err != nil {
			t.Fatal(err)
		}
		list := eventsOf[*event.LogWriteFailed](t, l)
		if len(list) != 1 {
			t.Fatalf("%d records of one failure", len(list))
		}
		e := list[0]
		took := time.Duration(e.TSUnixMS-e.Since) * time.Millisecond
		if e.InDoubt != 1 || e.Refused != 6 || e.Failures < 8 || took < time.Minute || took > time.Since(start) || !strings.Contains(e.Error, "input/output error") {
			t.Errorf("recorded: %+v", e)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Fault 14: beneath the floor is said before the disk is full, once, in a record;
// a full disk has room set aside for what the log has to say.
func TestSpaceLow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, o := newSmallDisk(t)
		l := openLog(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		appendN(t, l, 0, 5)
		time.Sleep(signEvery)
		synctest.Wait()
		if info, err := d.Stat(l.files.Reserve()); err != nil || info.Size() != o.MinFree/4 {
			t.Fatalf("room set aside: %v, %v", info, err)
		}
		d.free.Store(uint64(o.MinFree) - 1)
		for i := range 3 { // once, not at every look
			if _, err := l.Append(ctx, started(5+i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(signEvery)
			synctest.Wait()
		}
		if list := eventsOf[*event.DiskSpaceLow](t, l); len(list) != 1 || list[0].Free != uint64(o.MinFree)-1 || list[0].Floor != uint64(o.MinFree) {
			t.Errorf("recorded: %+v", list)
		}
		if s := l.Space(); !s.Low {
			t.Errorf("space: %+v", s)
		}
		// Full: writes fail until the reserve is gone.
		d.free.Store(0)
		d.SetFail(func(op disktest.Op) (error, bool) {
			if _, err := d.Stat(l.files.Reserve()); err == nil && op.Name == "write" {
				return syscall.ENOSPC, false
			}
			return nil, false
		})
		if _, err := l.Append(ctx, started(8)); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		time.Sleep(firstRecovery)
		synctest.Wait()
		if list := eventsOf[*event.LogWriteFailed](t, l); len(list) != 1 || !strings.Contains(list[0].Error, "no space left") {
			t.Errorf("recorded: %+v", list)
		}
		d.SetFail(nil)
		d.free.Store(1 << 30)
		time.Sleep(signEvery)
		synctest.Wait()
		if _, err := d.Stat(l.files.Reserve()); err != nil || l.Space().Low {
			t.Errorf("after room was made: %+v, %v", l.Space(), err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
