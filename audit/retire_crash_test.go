package audit

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// cuts are what a power cut may leave of what was not synced: nothing, all, and
// some parts of it.
func cuts(k, seeds int) []func() bool {
	list := []func() bool{func() bool { return false }, func() bool { return true }}
	for seed := range seeds * *crashSeeds {
		list = append(list, disktest.KeepSome(rand.New(rand.NewPCG(uint64(k), uint64(seed)))))
	}
	return list
}

// crashAtOp makes the machine crash at the k-th operation, which takes effect or
// not. It says whether that came about.
func crashAtOp(d *disktest.Disk, k int, after bool) *bool {
	n, hit := 0, new(bool)
	d.SetFail(func(disktest.Op) (error, bool) {
		if n++; n-1 != k {
			return nil, false
		}
		*hit = true
		d.Crash()
		return syscall.EIO, after
	})
	return hit
}

const retireRecords = 60

// manySegments is a signed log of many segments on a disk.
func manySegments(t *testing.T, d *disktest.Disk) (Options, *Log) {
	t.Helper()
	return manySegmentsAnd(t, d, func(*Log) {})
}

// manySegmentsAnd calls signed after each checkpoint.
func manySegmentsAnd(t *testing.T, d *disktest.Disk, signed func(*Log)) (Options, *Log) {
	t.Helper()
	o := Options{Path: "/log/audit.jsonl", SignedPath: "/state/last-signed.json", Key: testKey(1), FS: d, SegmentBytes: 500}
	if err := InitSignedState(d, o.SignedPath, testPeer(o)); err != nil {
		t.Fatal(err)
	}
	l, err := OpenOrCreate(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range retireRecords {
		appendN(t, l, i, i+1)
		if i%7 == 0 {
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			signed(l)
		}
	}
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	signed(l)
	if l.Segments() < 8 {
		t.Fatalf("%d segments are too few", l.Segments())
	}
	return o, l
}

// The power fails at any step of removing several segments, and any part of the
// removals that were not synced is on the disk: the log is whole from one of its
// segments on, verifies, goes on, and the next retention removes the rest.
func TestRetireSeveralCrash(t *testing.T) {
	for _, after := range []bool{false, true} {
		k := 0
		for retireCrashAt(t, k, after) {
			k++
		}
		if k < 15 {
			t.Errorf("%d operations: that cannot be all", k)
		}
	}
}

func retireCrashAt(t *testing.T, k int, after bool) (hit bool) {
	t.Helper()
	for cut, keep := range cuts(k, 6) {
		d := disktest.NewDisk()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("operation %d (effect %v), cut %d: %v\n%s", k, after, cut, err, d)
			}
		}
		o, l := manySegments(t, d)
		first, err := l.Retirable(segment.Retention{Segments: 2}, o.now())
		must(err)
		failed := crashAtOp(d, k, after)
		err = l.Retire(first)
		hit = hit || *failed
		if *failed == (err == nil) {
			t.Fatalf("operation %d: failed %v, and was told %v", k, *failed, err)
		}
		d.Crash()
		d.Restart(keep)
		l, err = Open(o)
		must(err)
		if l.First() > first || heldLines(t, l) != startedLines(t, int(l.First()), retireRecords) {
			t.Fatalf("operation %d, cut %d: the log is held from %d on", k, cut, l.First())
		}
		must(l.Retire(first))
		if l.First() != first {
			t.Fatalf("operation %d, cut %d: held from %d on, retired before %d", k, cut, l.First(), first)
		}
		appendN(t, l, retireRecords, retireRecords+1)
		must(l.Close())
		rep, err := Verify(o.Path, VerifyOptions{FS: d, SignedPath: o.SignedPath})
		must(err)
		if len(rep.Problems) > 0 || rep.First != first {
			t.Fatalf("operation %d, cut %d: %+v", k, cut, rep)
		}
	}
	return hit
}

// now is the time of a log's options, which have it once they are filled in.
func (o Options) now() time.Time { o.fill(); return o.Now() }

// A removal that the disk refuses is told, and ended by the next call: nothing is
// left behind, and nothing comes back.
func TestRetireGoesOnAfterFailure(t *testing.T) {
	d := disktest.NewDisk()
	o, l := manySegments(t, d)
	first, err := l.Retirable(segment.Retention{Segments: 2}, o.now())
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	d.SetFail(func(op disktest.Op) (error, bool) {
		if op.Name == "remove" {
			removed++
		}
		return map[bool]error{true: syscall.EIO}[removed == 3], false
	})
	if err := l.Retire(first); err == nil {
		t.Fatal("the disk refused, and nothing was said")
	}
	d.SetFail(nil)
	if err := l.Retire(first); err != nil {
		t.Fatal(err)
	}
	segs, err := segment.List(d, segment.LayoutOf(o.Path))
	if err != nil || len(segs) != 2 || segs[0].First != first {
		t.Errorf("%d segments are there, %v", len(segs), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// The same for a copy.
func TestCopyRetireSeveralCrash(t *testing.T) {
	d := disktest.NewDisk()
	var batches []*merkle.VerifiedBatch
	from := uint64(0)
	_, l := manySegmentsAnd(t, d, func(l *Log) {
		batches = append(batches, batchFrom(t, l, from))
		from = batches[len(batches)-1].End()
	})
	name, _ := l.Name()
	for k, hit := 0, true; hit; k++ {
		hit = false
		for cut, keep := range cuts(k, 6) {
			d := disktest.NewDisk()
			c, err := OpenCopy(d, "/copies/p/l", name, 500)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range batches {
				extend(t, c, b, Extended)
			}
			first, err := c.Retirable(segment.Retention{Segments: 2}, l.opts.Now())
			if err != nil || c.Segments() < 6 {
				t.Fatalf("%d segments, %v", c.Segments(), err)
			}
			failed := crashAtOp(d, k, cut%2 == 0)
			c.Retire(first) // the machine crashes in it
			hit = hit || *failed
			d.Crash()
			d.Restart(keep)
			if c, err = OpenCopy(d, "/copies/p/l", name, 500); err != nil || c.Size() != l.Size() || c.First() > first {
				t.Fatalf("operation %d, cut %d: %v\n%s", k, cut, err, d)
			}
			if heldLines(t, c) != startedLines(t, int(c.First()), retireRecords) {
				t.Fatalf("operation %d, cut %d: lines differ", k, cut)
			}
			if err := c.Retire(first); err != nil || c.First() != first {
				t.Fatalf("operation %d, cut %d: held from %d, %v", k, cut, c.First(), err)
			}
			c.Close()
		}
		if !hit && k < 15 {
			t.Errorf("%d operations: that cannot be all", k)
		}
	}
}

// Names that only look like ours stand beside a log. Neither retention nor a
// succession touches them, and they are in nobody's way.
func TestOtherFilesStay(t *testing.T) {
	d := disktest.NewDisk()
	o, l := manySegments(t, d)
	others := []string{
		"audit-backup.tar", "audit-2024.jsonl", "audit-00000000000000000000.jsonl.bak", "audit-00000000000000000000.segment~",
		"audit-0000000000000000000.jsonl", "audit-b-00000000000000000000.jsonl", "audit-00000000000000000000.index.old",
		"audit-00000000000000000001.jsonl.gz", "audit.checkpoints.bak", "audit.jsonl.tmp", "audit.jsonl.0123.tmp", "other.jsonl.0123456789abcdef.tmp",
	}
	for _, name := range others {
		f, err := d.OpenFile("/log/"+name, os.O_CREATE|os.O_RDWR, 0o600)
		if err == nil {
			_, err = f.Write([]byte(name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		entries, err := d.ReadDir("/log")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		for _, name := range others {
			if !slices.Contains(names, name) {
				t.Errorf("%s, %s is gone; there is %s", when, name, strings.Join(names, " "))
			}
		}
	}
	first, err := l.Retirable(segment.Retention{Segments: 2}, o.now())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Retire(first); err != nil {
		t.Fatal(err)
	}
	check("after retention")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(o); err != nil {
		t.Fatal(err)
	}
	check("after opening")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(o.SignedPath); err != nil {
		t.Fatal(err)
	}
	if l, err = succeedAndOpen(o); err != nil {
		t.Fatal(err)
	}
	check("after a succession")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// What a crash left under a temporary name is gone after the next opening.
func TestTemporaryFilesAreRemoved(t *testing.T) {
	d := disktest.NewDisk()
	o, l := manySegments(t, d)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	left := []string{
		"/log/audit.jsonl.0123456789abcdef.tmp", "/log/audit.checkpoints.0123456789abcdef.tmp",
		"/log/audit-00000000000000000000.segment.0123456789abcdef.tmp", "/state/last-signed.json.0123456789abcdef.tmp",
	}
	for _, path := range left {
		if _, err := d.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, path := range left {
		if _, err := d.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}
