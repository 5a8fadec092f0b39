package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// succeedAndOpen is what a node does at its start.
func succeedAndOpen(o Options) (*Log, error) {
	l, err := OpenOrCreate(o)
	if errors.Is(err, ErrBehind) || errors.Is(err, ErrNoSignedState) {
		if err = Succeed(o, err); err == nil {
			l, err = OpenOrCreate(o)
		}
	}
	return l, err
}

// Fault 8 and 32: a log that is gone, older than its last-signed state, or without
// it, is sealed and never signed again; the node goes on in a successor that says
// so first, and then has each line that no checkpoint covers. What peers hold of
// the old log is put back into the sealed one.
func TestSuccession(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(o Options, backup func())
		signed  uint64 // of the old log, as the successor states it
		here    uint64 // records that the sealed log has
		unknown bool   // the successor cannot name the old log
		rest    int    // first of the lines that are appended once more; none from 20 on
	}{
		"log from a backup":    {func(_ Options, backup func()) { backup() }, 20, 12, false, 12},
		"log gone":             {func(o Options, _ func()) { os.RemoveAll(filepath.Dir(o.Path)) }, 20, 0, false, 20},
		"state gone":           {func(o Options, _ func()) { os.Remove(o.SignedPath) }, 20, 20, false, 20},
		"state of before":      {func(o Options, _ func()) { InitSignedState(o.FS, o.SignedPath, testPeer(o)) }, 20, 20, false, 20},
		"both gone":            {func(o Options, _ func()) { os.RemoveAll(filepath.Dir(o.Path)); os.Remove(o.SignedPath) }, 0, 0, true, 20},
		"backup without state": {func(o Options, backup func()) { backup(); os.Remove(o.SignedPath) }, 12, 12, false, 12},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, 1)
			o.SegmentBytes = 500
			l := openLog(t, o)
			appendN(t, l, 0, 12)
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			appendN(t, l, 12, 15)
			saved := t.TempDir() // with three lines that are not signed in it
			if err := os.CopyFS(saved, os.DirFS(filepath.Dir(o.Path))); err != nil {
				t.Fatal(err)
			}
			appendN(t, l, 15, 20)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			old, _ := l.Name()
			head, _ := l.Head()
			var batches []*merkle.VerifiedBatch
			for from := uint64(0); from < 20; from = batches[len(batches)-1].End() {
				batches = append(batches, batchFrom(t, l, from))
			}
			c.spoil(o, func() {
				if err := errors.Join(os.RemoveAll(filepath.Dir(o.Path)), os.CopyFS(filepath.Dir(o.Path), os.DirFS(saved))); err != nil {
					t.Fatal(err)
				}
			})
			if l, err := Open(o); err == nil {
				l.Close()
				t.Fatal("opened")
			}
			l, err := succeedAndOpen(o)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if !c.unknown {
				list := eventsOf[*event.LogSucceeded](t, l)
				if len(list) != 1 || merkle.Hash(list[0].Log) != old.ID || list[0].Size != c.signed || c.signed == 20 && merkle.Hash(list[0].Root) != head.Root || list[0].Reason == "" {
					t.Fatalf("succession: %+v", list)
				}
				want = append(want, string(mustEncode(t, list[0])))
			}
			for i := c.rest; i < min(15, 20) && c.rest < 20; i++ {
				want = append(want, string(mustEncode(t, started(i))))
			}
			if got := heldLines(t, l); got != strings.Join(want, "") {
				t.Errorf("the successor has\n%swant\n%s", got, strings.Join(want, ""))
			}
			if _, err := l.Append(t.Context(), started(100)); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openLog(t, o) // and goes on
			if rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath}); err != nil || len(rep.Problems) > 0 {
				t.Errorf("verify: %+v, %v", rep, err)
			}
			sealed, err := SealedLogs(disk.OS{}, o.Path)
			if err != nil || len(sealed) != map[bool]int{true: 1}[c.here > 0] {
				t.Fatalf("sealed: %v, %v", sealed, err)
			}
			if c.here == 0 {
				return
			}
			cp, err := OpenCopy(disk.OS{}, sealed[old.ID], old, 0)
			if err != nil || cp.Size() != c.here {
				t.Fatalf("the sealed log: %v", err)
			}
			for _, v := range batches {
				if _, err := cp.Extend(v); err != nil {
					t.Fatal(err)
				}
			}
			if got := heldLines(t, cp); got != startedLines(t, 0, 20) {
				t.Errorf("restored:\n%s", got)
			}
			// The old log, put back once more, is refused, and given up once more.
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			for _, e := range []string{"audit*.jsonl", "audit-*.segment", "audit-*.index", "audit.checkpoints"} {
				for _, path := range mustGlob(t, filepath.Join(filepath.Dir(o.Path), e)) {
					os.Remove(path)
				}
			}
			if err := os.CopyFS(filepath.Dir(o.Path), os.DirFS(saved)); err != nil && !errors.Is(err, fs.ErrExist) {
				t.Fatal(err)
			}
			if _, err := Open(o); !errors.Is(err, ErrBehind) {
				t.Fatalf("a log that was given up: %v", err)
			}
			if l, err = succeedAndOpen(o); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func testPeer(o Options) string { return merkle.PeerID(o.Key.Public().(edPublic)) }

// A crash at any operation of a succession, and a power cut that keeps any part of
// what was not synced: what is begun is ended at the next start, once, and nothing
// is lost.
func TestSuccessionCrash(t *testing.T) {
	for variant := range 4 {
		after, power := variant&1 > 0, variant&2 > 0
		t.Run(fmt.Sprintf("effect=%v,power=%v", after, power), func(t *testing.T) {
			k := 0
			for successionCrashAt(t, k, after, power) {
				k++
			}
			if k < 20 {
				t.Errorf("%d operations: that cannot be all", k)
			}
		})
	}
}

func successionCrashAt(t *testing.T, k int, after, power bool) (hit bool) {
	t.Helper()
	list := cuts(k, 1)
	if !power {
		list = list[:1]
	}
	for _, keep := range list {
		hit = successionCutAt(t, k, after, power, keep) || hit
	}
	return hit
}

// successionCutAt is of a log of several segments, signed in the middle of them.
func successionCutAt(t *testing.T, k int, after, power bool, keep func() bool) (hit bool) {
	t.Helper()
	disk := disktest.NewDisk()
	o := Options{Path: "/log/audit.jsonl", SignedPath: "/state/last-signed.json", Key: testKey(1), FS: disk, SegmentBytes: 250}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("operation %d: %v\n%s", k, err, disk)
		}
	}
	must(InitSignedState(disk, o.SignedPath, testPeer(o)))
	l, err := OpenOrCreate(o)
	must(err)
	for i := range 20 {
		appendN(t, l, i, i+1)
		if i == 11 {
			must(l.Sign())
		}
	}
	if l.Segments() < 5 {
		t.Fatalf("%d segments", l.Segments())
	}
	old, _ := l.Name()
	crash(l)
	must(disk.Remove(o.SignedPath))
	must(disk.SyncDir("/state"))
	n := 0
	disk.SetFail(func(op disktest.Op) (error, bool) {
		n++
		if n-1 != k {
			return nil, false
		}
		hit = true
		if power {
			disk.Crash()
		}
		return syscall.EIO, after
	})
	if l, err := succeedAndOpen(o); err == nil {
		crash(l)
	}
	disk.SetFail(nil)
	if power && hit {
		disk.Restart(keep)
	}
	l, err = succeedAndOpen(o)
	must(err)
	lines := strings.SplitAfter(heldLines(t, l), "\n")
	e, err := event.Decode([]byte(strings.TrimSuffix(lines[0], "\n")))
	must(err)
	first, ok := e.(*event.LogSucceeded)
	if !ok || merkle.Hash(first.Log) != old.ID || first.Size != 12 {
		t.Fatalf("operation %d: the first record is %s", k, lines[0])
	}
	if got := strings.Join(lines[1:], ""); got != startedLines(t, 12, 20) {
		t.Fatalf("operation %d: the successor has\n%s", k, got)
	}
	must(l.Close())
	sealed := filepath.Join(segment.LayoutOf(o.Path).SealedDir(), old.IDString())
	cp, err := OpenCopy(disk, sealed, old, 0)
	must(err)
	if got := heldLines(t, cp); got != startedLines(t, 0, 12) {
		t.Fatalf("operation %d: the sealed log has\n%s", k, got)
	}
	entries, err := disk.ReadDir(sealed)
	must(err)
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), ".unsigned") }) {
		t.Fatalf("operation %d: what was not signed is not kept", k)
	}
	return hit
}
