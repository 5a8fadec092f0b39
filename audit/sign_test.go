package audit

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// A crash at any operation of signing, done or not done: the next start finds a
// log that it can sign, and never another checkpoint of a size that was signed.
func TestSignCrash(t *testing.T) {
	for k := 0; ; k++ {
		hit := false
		for _, after := range []bool{false, true} {
			o := testOptions(t, 1)
			fsys := disktest.New(disk.OS{})
			o.FS = fsys
			l := openLog(t, o)
			appendN(t, l, 0, 5)
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			appendN(t, l, 5, 8)
			n := 0
			fsys.SetFail(func(disktest.Op) (error, bool) {
				n++
				if n > k {
					first := !hit || n == k+1
					hit = true
					return syscall.EIO, after && first
				}
				return nil, false
			})
			err := l.Sign()
			fsys.SetFail(nil)
			if hit && err == nil {
				t.Fatalf("operation %d failed and Sign succeeded", k)
			}
			crash(l)
			l = openLog(t, o)
			if got := heldLines(t, l); got != startedLines(t, 0, 8) {
				t.Fatalf("operation %d: lines differ", k)
			}
			if s := l.SignedSize(); s != 5 && s != 8 {
				t.Fatalf("operation %d: %d records are signed", k, s)
			}
			if err := l.Sign(); err != nil || l.SignedSize() != 8 {
				t.Fatalf("operation %d: signed %d, %v", k, l.SignedSize(), err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath}); err != nil || len(rep.Problems) > 0 {
				t.Fatalf("operation %d: %v %v", k, rep.Problems, err)
			}
		}
		if !hit {
			return
		}
	}
}

// The file of checkpoints does not grow for ever, and after a rewrite it is read
// as before.
func TestCheckpointsAreRewritten(t *testing.T) {
	o := testOptions(t, 1)
	l := openLog(t, o)
	path := filepath.Join(filepath.Dir(o.Path), "audit.checkpoints")
	largest, shrank := int64(0), false
	for i := range 1200 {
		appendN(t, l, i, i+1)
		if err := l.Sign(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		shrank = shrank || info.Size() < largest
		largest = max(largest, info.Size())
	}
	if !shrank || largest > segment.RewriteBytes+merkle.MaxNote {
		t.Errorf("the file grew to %d bytes, rewritten: %v", largest, shrank)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, o)
	if l.SignedSize() != 1200 {
		t.Errorf("%d signed after reopening", l.SignedSize())
	}
	// An entry that a crash cut short was never used, and is cut off.
	crash(l)
	f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString("auditmesh/12D3KooW")
	f.Close()
	l = openLog(t, o)
	appendN(t, l, 1200, 1201)
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	raw, _ := os.ReadFile(path)
	if strings.Contains(string(raw), "KooWauditmesh") || l.SignedSize() != 1201 {
		t.Error("what a crash cut short is still there")
	}
}
