package audit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// A copy may begin where the log of whoever serves it begins. Its segments are
// removed like those of the log, and what stays is served on.
func TestCopyOfRetainedLog(t *testing.T) {
	l, name, batches := retainedLog(t)
	first := l.First()
	disk := disktest.NewDisk()
	c, err := OpenCopy(disk, "/copies/p/l", name, 4000)
	if err != nil {
		t.Fatal(err)
	}
	extend(t, c, batches[0], Hole)
	for _, b := range batches {
		if got, err := c.StartAt(b); err != nil || got != Extended {
			t.Fatalf("begin by [%d, %d): %v, %v", b.First, b.End(), got, err)
		}
	}
	check := func() {
		t.Helper()
		if c.First() != first || c.Size() != l.Size() || heldLines(t, c) != startedLines(t, int(c.First()), int(c.Size())) {
			t.Fatalf("the copy has [%d, %d), the log [%d, %d)", c.First(), c.Size(), first, l.Size())
		}
		served := batchFrom(t, c, first)
		if _, err := c.Prove(first); err != nil || served.First != first {
			t.Fatalf("serves from %d, %v", served.First, err)
		}
	}
	check()
	reopen := func() {
		t.Helper()
		c.Close()
		if c, err = OpenCopy(disk, "/copies/p/l", name, 4000); err != nil {
			t.Fatal(err)
		}
	}
	reopen()
	check()
	keep := segment.Retention{Segments: 2}
	if first, err = c.Retirable(keep, l.opts.Now()); err != nil || first <= l.First() {
		t.Fatalf("%d segments, retirable before %d, %v", c.Segments(), first, err)
	}
	if err := c.Retire(first); err != nil || c.Segments() != 2 {
		t.Fatalf("%d segments, %v", c.Segments(), err)
	}
	check()
	extend(t, c, batches[0], Known) // was, until retention removed it
	reopen()
	check()
}

// Beginning and shortening a copy is safe to crash at each operation: what it
// said to hold it serves afterwards, and it goes on.
func TestCopyOfRetainedLogCrash(t *testing.T) {
	l, name, batches := retainedLog(t)
	// life takes in all batches and keeps two segments. It returns how far the copy
	// said to be.
	life := func(disk *disktest.Disk) (size uint64, err error) {
		c, err := OpenCopy(disk, "/copies/p/l", name, 2000)
		if err != nil {
			return 0, err
		}
		for _, b := range batches {
			size = c.SignedSize()
			if _, err := c.StartAt(b); err != nil {
				return size, err
			}
			first, err := c.Retirable(segment.Retention{Segments: 2}, l.opts.Now())
			if err != nil {
				return c.SignedSize(), err
			}
			if err := c.Retire(first); err != nil {
				return c.SignedSize(), err
			}
		}
		c.Close()
		if _, err := c.Batch(c.First()); err != nil {
			return c.Size(), err
		}
		if c.First() <= l.First() || c.Size() != l.Size() {
			return c.Size(), fmt.Errorf("the copy has [%d, %d)", c.First(), c.Size())
		}
		return c.Size(), nil
	}
	crash := func(k, variant int) (hit bool) {
		disk := disktest.NewDisk()
		rng := rand.New(rand.NewPCG(uint64(k), uint64(variant)))
		n := 0
		disk.SetFail(func(disktest.Op) (error, bool) {
			if n++; n-1 == k {
				hit = true
				disk.Crash()
				return syscall.EIO, variant&1 > 0
			}
			return nil, false
		})
		said, _ := life(disk)
		disk.Crash()
		disk.Restart(disktest.KeepSome(rng))
		c, err := OpenCopy(disk, "/copies/p/l", name, 2000)
		if err != nil || c.Size() < said {
			t.Fatalf("operation %d, variant %d: %v\n%s", k, variant, err, disk)
		}
		if c.SignedSize() > 0 {
			batchFrom(t, c, c.First())
		}
		if _, err := life(disk); err != nil {
			t.Fatalf("operation %d, variant %d, gone on with: %v\n%s", k, variant, err, disk)
		}
		return hit
	}
	k, hit := 0, true
	for ; hit; k++ {
		hit = false
		for variant := range 6 {
			hit = crash(k, variant) || hit
		}
	}
	if k < 60 {
		t.Errorf("%d operations: the life is too short", k)
	}
}

// retainedLog is a log whose beginning retention removed, and its batches.
func retainedLog(t *testing.T) (l *Log, name merkle.LogName, batches []*merkle.VerifiedBatch) {
	t.Helper()
	o := testOptions(t, 1)
	o.SegmentBytes = 10 << 10
	l = openLog(t, o)
	for i := range 400 {
		appendN(t, l, i, i+1)
		if i%40 == 39 {
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := retain(l, segment.Retention{Segments: 2}); err != nil || l.First() == 0 {
		t.Fatalf("first %d, %v", l.First(), err)
	}
	name, _ = l.Name()
	for from := l.First(); from < l.Size(); {
		b := batchFrom(t, l, from)
		batches = append(batches, b)
		from = b.End()
	}
	for i := 400; i < 480; i++ {
		appendN(t, l, i, i+1)
		if i%20 == 19 {
			from := l.SignedSize()
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			batches = append(batches, batchFrom(t, l, from))
		}
	}
	return l, name, batches
}

// Who still retires when the log was closed finds it closed, and changes nothing:
// another process may have it by then.
func TestRetireAfterClose(t *testing.T) {
	o := testOptions(t, 1)
	o.SegmentBytes = 1000
	l := openLog(t, o)
	for i := range 40 {
		appendN(t, l, i, i+1)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := mustGlob(t, filepath.Dir(o.Path)+"/*")
	if err := l.Retire(30); !errors.Is(err, ErrClosed) {
		t.Errorf("retired: %v", err)
	}
	if after := mustGlob(t, filepath.Dir(o.Path)+"/*"); !slices.Equal(before, after) {
		t.Errorf("%q, before %q", after, before)
	}
}
