package audit

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// Segments are sealed by size; the log reads, proves and reopens across them,
// with its indexes and without.
func TestSegmentsBySize(t *testing.T) {
	const n = 2000
	o := testOptions(t, 1)
	o.SegmentBytes = 20 << 10
	l := openLog(t, o)
	for i := 0; i < n; i += 37 {
		appendN(t, l, i, min(i+37, n))
	}
	if l.Segments() < 5 {
		t.Fatalf("%d segments of %d bytes", l.Segments(), l.Bytes())
	}
	if got := heldLines(t, l); got != startedLines(t, 0, n) {
		t.Fatal("lines differ")
	}
	root, _ := l.RootAt(n)
	for _, lose := range []string{"nothing", "indexes", "half of them"} {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		paths, _ := filepath.Glob(filepath.Dir(o.Path) + "/*.index")
		for i, path := range paths {
			if lose == "indexes" || lose == "half of them" && i%2 == 0 {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
		rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath})
		if err != nil || len(rep.Problems) > 0 || (len(rep.Derived) > 0) != (lose != "nothing") {
			t.Fatalf("lost %s: %+v, %v", lose, rep, err)
		}
		l = openLog(t, o)
		again, err := l.RootAt(n)
		if err != nil || again != root || l.Size() != n || heldLines(t, l) != startedLines(t, 0, n) {
			t.Fatalf("lost %s: size %d, %v", lose, l.Size(), err)
		}
		for _, seq := range []uint64{0, 1, 255, 256, 700, n - 1} {
			r := l.Reader(seq)
			rec, err := r.Next()
			if err != nil || string(rec.Ended()) != string(mustEncode(t, started(int(seq)))) {
				t.Errorf("record %d: %q, %v", seq, rec.Line, err)
			}
			r.Close()
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath}); err != nil || len(rep.Problems)+len(rep.Derived) > 0 {
		t.Errorf("the indexes were not made anew: %+v, %v", rep, err)
	}
}

// A foreign logrotate renames the file, compresses the renamed one and unlinks
// it, with or without a new file in its place. Nothing is lost.
func TestForeignLogrotate(t *testing.T) {
	for _, create := range []string{"none", "empty", "with a line"} {
		t.Run(create, func(t *testing.T) {
			o := testOptions(t, 1)
			l := openLog(t, o)
			appendN(t, l, 0, 10)
			if err := os.Rename(o.Path, o.Path+".1"); err != nil {
				t.Fatal(err)
			}
			switch create {
			case "empty":
				os.WriteFile(o.Path, nil, 0o600)
			case "with a line":
				os.WriteFile(o.Path, []byte("{\"a\":1}\n"), 0o600)
			}
			if err := os.Remove(o.Path + ".1"); err != nil {
				t.Fatal(err)
			}
			appendN(t, l, 10, 20)
			appendN(t, l, 20, 30) // the rotation comes after the answer to the append before
			if l.Segments() != 2 {
				t.Errorf("%d segments", l.Segments())
			}
			foreign, _ := filepath.Glob(o.Path + ".foreign-*")
			if (len(foreign) == 1) != (create == "with a line") {
				t.Errorf("kept %v", foreign)
			}
			if raw, err := os.ReadFile(o.Path); err != nil || string(raw) != startedLines(t, 20, 30) {
				t.Errorf("the path does not lead to the active segment: %v\n%s", err, raw)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(o.Path); err != nil { // once more, while no node runs
				t.Fatal(err)
			}
			if create == "empty" {
				os.WriteFile(o.Path, nil, 0o600)
			}
			if l = openLog(t, o); heldLines(t, l) != startedLines(t, 0, 30) {
				t.Error("lines differ")
			}
		})
	}
}

// copytruncate cuts the file beneath the log: that is seen before anything more
// is acknowledged, said, and not mended by itself.
func TestCopyTruncate(t *testing.T) {
	o := testOptions(t, 1)
	l := openLog(t, o)
	appendN(t, l, 0, 10)
	if err := os.Truncate(o.Path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), started(10)); !errors.Is(err, ErrTruncated) || !errors.Is(err, ErrInDoubt) {
		t.Fatalf("append: %v", err)
	}
	var damage *segment.DamageError
	if err := l.Recover(); !errors.As(err, &damage) {
		t.Errorf("recover: %v", err)
	}
	if err := l.Err(); !errors.Is(err, ErrTruncated) {
		t.Errorf("state: %v", err)
	}
}

// Another program that appends to the file is noticed, and its lines are kept.
func TestForeignWrite(t *testing.T) {
	o := testOptions(t, 1)
	l := openLog(t, o)
	appendN(t, l, 0, 10)
	f, err := os.OpenFile(o.Path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(startedLines(t, 10, 11))
	f.Close()
	if _, err := l.Append(t.Context(), started(11)); !errors.Is(err, ErrForeignWrite) {
		t.Fatalf("append: %v", err)
	}
	if err := l.Recover(); err != nil {
		t.Fatal(err)
	}
	if got := heldLines(t, l); got != startedLines(t, 0, 12) {
		t.Errorf("lines differ:\n%s", got)
	}
}

// retain applies retention as a program does that shows nothing of the log.
func retain(l *Log, keep segment.Retention) error {
	first, err := l.Retirable(keep, l.opts.Now())
	if err != nil {
		return err
	}
	return l.Retire(first)
}

// Retention removes the oldest segments; what stays is provable, can be sent,
// and opens again, with its index and without.
func TestRetention(t *testing.T) {
	now := time.Now()
	for name, keep := range map[string]segment.Retention{
		"segments": {Segments: 2}, "bytes": {Bytes: 25 << 10}, "age": {Age: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, 1)
			o.SegmentBytes = 10 << 10
			o.Now = func() time.Time { return now.Add(2 * time.Hour) }
			l := openLog(t, o)
			var old merkle.Checkpoint
			for i := range 1500 {
				appendN(t, l, i, i+1)
				if i == 700 {
					if err := l.Sign(); err != nil {
						t.Fatal(err)
					}
					old, _ = l.Head()
				}
			}
			if err := retain(l, keep); err != nil || l.First() > 701 {
				t.Fatalf("what is not signed was removed: the first is %d, %v", l.First(), err)
			}
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			before := l.Segments()
			if err := retain(l, keep); err != nil {
				t.Fatal(err)
			}
			first := l.First()
			if first == 0 || l.Segments() >= before || keep.Segments > 0 && l.Segments() != 2 {
				t.Fatalf("first %d, %d segments", first, l.Segments())
			}
			if files, _ := filepath.Glob(filepath.Dir(o.Path) + "/audit-*"); len(files) != 3*l.Segments() {
				t.Errorf("files left: %v", files)
			}
			check := func() {
				t.Helper()
				if got := heldLines(t, l); got != startedLines(t, int(first), 1500) {
					t.Fatal("lines differ")
				}
				for seq := first; seq < 1500; seq += 13 {
					if _, err := l.Prove(seq); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := l.Prove(first - 1); !errors.Is(err, segment.ErrRetired) {
					t.Errorf("before the first: %v", err)
				}
				if b := batchFrom(t, l, first); b.End() != 1500 {
					t.Errorf("batch [%d, %d)", b.First, b.End())
				}
				if _, err := l.ProveConsistency(old); first < 700 && err != nil || first > 700 && err != nil && !errors.Is(err, segment.ErrRetired) {
					t.Errorf("consistency: %v", err)
				}
			}
			check()
			for round := range 2 {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath}); err != nil || len(rep.Problems) > 0 || (len(rep.Derived) > 0) != (round == 1) || rep.First != first {
					t.Errorf("verify: %+v, %v", rep, err)
				}
				l = openLog(t, o)
				check()
				for _, path := range mustGlob(t, filepath.Dir(o.Path)+"/*.index") {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	return paths
}

// A rotation that cannot begin is put off: appends go on in the old segment.
func TestRotationPutOff(t *testing.T) {
	fsys := disktest.New(disk.OS{})
	o := testOptions(t, 1)
	core, logs := observer.New(zapcore.WarnLevel)
	o.FS, o.SegmentBytes, o.Logger = fsys, 1000, slog.New(zapslog.NewHandler(core))
	l := openLog(t, o)
	fsys.SetFail(func(op disktest.Op) (error, bool) {
		if strings.Contains(op.Path, ".segment.") {
			return os.ErrPermission, false
		}
		return nil, false
	})
	for i := range 30 {
		appendN(t, l, i, i+1)
	}
	if l.Segments() != 1 || logs.FilterMessageSnippet("could not be sealed").Len() != 1 {
		t.Errorf("%d segments, %d warnings", l.Segments(), logs.Len())
	}
	fsys.SetFail(nil)
	if got := heldLines(t, l); got != startedLines(t, 0, 30) {
		t.Error("lines differ")
	}
}

// A time is found without reading the lines before it.
func TestSeek(t *testing.T) {
	o := testOptions(t, 1)
	o.SegmentBytes = 20 << 10
	l := openLog(t, o)
	for i := 0; i < 2000; i += 50 {
		appendN(t, l, i, i+50)
	}
	for _, at := range []int{0, 1, 255, 256, 257, 1000, 1999, 2000, 5000} {
		want := min(uint64(at), 2000)
		got, err := l.SeekTime(uint64(1000 + at))
		if err != nil || got != want {
			t.Errorf("time of %d: record %d, %v", at, got, err)
		}
	}
}
