package audit

import (
	"fmt"
	"os"
	"testing"
)

// A log that grows while it is verified, by less and by more than a block, and into
// another segment, is whole; and so is its index.
func TestVerifyWhileTheLogGrows(t *testing.T) {
	for _, c := range []struct {
		had, more    int
		segmentBytes int64
	}{{100, 10, 0}, {100, 1000, 0}, {256, 256, 0}, {300, 1, 0}, {300, 212, 0}, {300, 2000, 16 << 10}, {1, 5000, 16 << 10}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			o := testOptions(t, 1)
			o.SegmentBytes = c.segmentBytes
			l := openLog(t, o)
			appendN(t, l, 0, c.had)
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			next := c.had
			grow := func(done, total int64) {
				if done < total || next > c.had {
					return
				}
				for end := c.had + c.more; next < end; {
					n := min(100, end-next)
					appendN(t, l, next, next+n)
					next += n
				}
			}
			rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath, Progress: grow})
			if err != nil || next == c.had {
				t.Fatal(next, err)
			}
			if len(rep.Problems)+len(rep.Derived) > 0 {
				t.Errorf("%d problems %v, indexes %v", len(rep.Problems), rep.Problems, rep.Derived)
			}
		})
	}
}

// A node that has the log does not hide that an index of a sealed segment, or an
// entry of the last, does not fit.
func TestVerifyInUseFindsABadIndex(t *testing.T) {
	o := testOptions(t, 1)
	l := openLog(t, o)
	appendN(t, l, 0, 600)
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	path := l.files.Index(0)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[132] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath})
	if err != nil || len(rep.Derived) != 1 || len(rep.Problems) > 0 {
		t.Errorf("%+v, %v", rep, err)
	}
}
