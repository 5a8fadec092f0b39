package audit

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"log/slog"

	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"auditmesh/audit/disk"
	"auditmesh/audit/segment"
)

const restoredSegment = 500 // bytes, of five or six records

// copied is a log, and a way in which its directory was copied. The log has n
// records, half of which are signed.
type copied struct {
	o    Options
	l    *Log
	root string // has the log and the state
	to   string
}

func newCopied(t *testing.T, n int) *copied {
	t.Helper()
	c := &copied{root: t.TempDir(), to: t.TempDir() + "/data"}
	c.o = Options{Path: c.root + "/log/audit.jsonl", SignedPath: c.root + "/state/last-signed.json", Key: testKey(1), SegmentBytes: restoredSegment}
	if err := Create(c.o); err != nil {
		t.Fatal(err)
	}
	l, err := Open(c.o)
	if err != nil {
		t.Fatal(err)
	}
	c.l = l
	t.Cleanup(func() { l.Close() })
	for i := range n {
		appendN(t, l, i, i+1)
		if i == n/2 {
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

// restored opens what was copied, and returns what was said about it.
func (c *copied) restored(t *testing.T) (*Log, *observer.ObservedLogs, error) {
	t.Helper()
	core, said := observer.New(zapcore.WarnLevel)
	o := c.o
	o.Path, o.SignedPath, o.Logger = c.to+"/log/audit.jsonl", c.to+"/state/last-signed.json", slog.New(zapslog.NewHandler(core))
	l, err := Open(o)
	if err == nil {
		t.Cleanup(func() { l.Close() })
	}
	return l, said, err
}

// mustHave checks that a restored log has records, goes on, is one file again, and
// verifies.
func mustHave(t *testing.T, l *Log, n int) {
	t.Helper()
	if got := heldLines(t, l); got != startedLines(t, 0, n) {
		t.Fatalf("it has\n%s\nwant %d records", got, n)
	}
	appendN(t, l, n, n+1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	at, err := os.Stat(l.Path())
	if err != nil {
		t.Fatal(err)
	}
	segs, err := segment.List(disk.OS{}, segment.LayoutOf(l.Path()))
	if err != nil {
		t.Fatal(err)
	}
	if last, err := os.Stat(segs[len(segs)-1].Path); err != nil || !os.SameFile(at, last) {
		t.Errorf("the path is no link to the last segment: %v", err)
	}
	if foreign, _ := filepath.Glob(l.Path() + ".foreign-*"); len(foreign) > 0 {
		t.Errorf("put aside: %v", foreign)
	}
	rep, err := Verify(l.Path(), VerifyOptions{SignedPath: l.opts.SignedPath})
	if err != nil || len(rep.Problems) > 0 {
		t.Errorf("verify: %+v, %v", rep, err)
	}
}

// copyFiles copies a directory as cp -r does, link by link a file of its own. skip
// says what is left out.
func copyFiles(t *testing.T, from, to string, skip func(name string) bool) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			return os.MkdirAll(name, 0o700)
		}
		if skip != nil && skip(e.Name()) {
			return nil
		}
		return copyOne(path, name)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func copyOne(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// Fault 47: a directory that was put back by the common tools opens, has all
// records, and goes on.
func TestRestoredByTools(t *testing.T) {
	for name, c := range map[string]struct {
		tool []string
		says bool // the links were broken
	}{
		"cp -r":          {[]string{"cp", "-r"}, true},
		"cp -a":          {[]string{"cp", "-a"}, false},
		"rsync -a":       {[]string{"rsync", "-a"}, true},
		"rsync -aH":      {[]string{"rsync", "-aH"}, false},
		"without a tool": {nil, true},
	} {
		for _, n := range []int{3, 12, 17} { // within a segment, and over several
			t.Run(name, func(t *testing.T) {
				d := newCopied(t, n)
				if err := d.l.Close(); err != nil {
					t.Fatal(err)
				}
				if c.tool == nil {
					copyFiles(t, d.root, d.to, nil)
				} else {
					tool, err := exec.LookPath(c.tool[0])
					if err != nil {
						t.Fatalf("%v: .ci/test installs it", err)
					}
					args := append(c.tool[1:], d.root+"/", d.to)
					if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
				}
				l, said, err := d.restored(t)
				if err != nil {
					t.Fatal(err)
				}
				if got := said.FilterMessageSnippet("directory that was copied").Len() > 0; got != c.says && l.segment().Bytes > 0 {
					t.Errorf("said: %v", said.All())
				}
				mustHave(t, l, n)
			})
		}
	}
}

// The node wrote while its directory was copied, so the path and the last segment
// are of different moments. The one with more wins, and that is said.
func TestRestoredFromTwoMoments(t *testing.T) {
	names := func(c *copied) []string {
		segs, err := segment.List(disk.OS{}, segment.LayoutOf(c.o.Path))
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, s := range segs {
			list = append(list, filepath.Base(s.Path))
		}
		return list
	}
	again := func(t *testing.T, c *copied, name string) {
		t.Helper()
		if err := copyOne(c.root+"/log/"+name, c.to+"/log/"+name); err != nil {
			t.Fatal(err)
		}
	}
	appendTo := func(t *testing.T, c *copied, from, to int) {
		for i := from; i < to; i++ {
			appendN(t, c.l, i, i+1)
		}
	}
	for name, c := range map[string]struct {
		copy func(t *testing.T, c *copied)
		want int
		says string
	}{
		"the path is behind": {func(t *testing.T, c *copied) {
			copyFiles(t, c.root, c.to, nil)
			list := names(c)
			appendTo(t, c, 14, 15)
			again(t, c, list[len(list)-1])
		}, 15, "has all that the copy has"},
		"the path is ahead": {func(t *testing.T, c *copied) {
			copyFiles(t, c.root, c.to, nil)
			appendTo(t, c, 14, 15)
			again(t, c, "audit.jsonl")
		}, 15, "records that the segments lack"},
		"the path is ahead, and signed": {func(t *testing.T, c *copied) {
			copyFiles(t, c.root, c.to, nil)
			appendTo(t, c, 14, 15)
			if err := c.l.Sign(); err != nil {
				t.Fatal(err)
			}
			again(t, c, "audit.jsonl")
			again(t, c, "../state/last-signed.json")
			again(t, c, "audit.checkpoints")
		}, 15, "records that the segments lack"},
		"the path is of an older segment": {func(t *testing.T, c *copied) {
			copyFiles(t, c.root, c.to, nil)
			old := names(c)
			if err := copyOne(c.root+"/log/"+old[0], c.to+"/log/audit.jsonl"); err != nil {
				t.Fatal(err)
			}
		}, 14, "has all that the copy has"},
		"the path is of a segment that is not there": {func(t *testing.T, c *copied) {
			if err := c.l.Sign(); err != nil {
				t.Fatal(err)
			}
			last := strings.TrimSuffix(names(c)[len(names(c))-1], ".jsonl")
			copyFiles(t, c.root, c.to, func(name string) bool { return strings.HasPrefix(name, last) })
		}, 14, "records that the segments lack"},
		"the last segment was copied empty": {func(t *testing.T, c *copied) {
			if err := c.l.Sign(); err != nil {
				t.Fatal(err)
			}
			copyFiles(t, c.root, c.to, nil)
			list := names(c)
			if err := os.Truncate(c.to+"/log/"+list[len(list)-1], 0); err != nil {
				t.Fatal(err)
			}
		}, 14, "records that the segments lack"},
		"without the path": {func(t *testing.T, c *copied) {
			copyFiles(t, c.root, c.to, func(name string) bool { return name == "audit.jsonl" })
		}, 14, ""},
		"without indexes": {func(t *testing.T, c *copied) {
			copyFiles(t, c.root, c.to, func(name string) bool { return strings.HasSuffix(name, ".index") })
		}, 14, "has all that the copy has"},
		"without checkpoints": {func(t *testing.T, c *copied) {
			copyFiles(t, c.root, c.to, func(name string) bool { return strings.HasSuffix(name, ".checkpoints") })
		}, 14, "made once more"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newCopied(t, 14)
			if d.l.Segments() < 3 || d.l.segment().Bytes == 0 {
				t.Fatalf("%d segments", d.l.Segments())
			}
			c.copy(t, d)
			l, said, err := d.restored(t)
			if err != nil {
				t.Fatal(err)
			}
			if c.says != "" && said.FilterMessageSnippet(c.says).Len() != 1 {
				t.Errorf("said: %v", said.All())
			}
			mustHave(t, l, c.want)
		})
	}
}

// A file at the path whose lines are not those of the log is refused with a clear
// error, and no file is changed by that.
func TestRestoredWithAnotherFile(t *testing.T) {
	for name, content := range map[string]func(t *testing.T) string{
		"other lines":           func(t *testing.T) string { return startedLines(t, 50, 53) },
		"of a longer other log": func(t *testing.T) string { return startedLines(t, 50, 90) },
		"changed and longer": func(t *testing.T) string {
			return strings.Replace(startedLines(t, 12, 16), "1012", "9012", 1)
		},
		"no lines": func(*testing.T) string { return "PK\x03\x04" },
	} {
		t.Run(name, func(t *testing.T) {
			d := newCopied(t, 14)
			if err := d.l.Close(); err != nil {
				t.Fatal(err)
			}
			copyFiles(t, d.root, d.to, nil)
			if err := os.WriteFile(d.to+"/log/audit.jsonl", []byte(content(t)), 0o600); err != nil {
				t.Fatal(err)
			}
			was := tree(t, d.to+"/state/last-signed.json")
			segs := mustGlob(t, d.to+"/log/audit-*")
			_, _, err := d.restored(t)
			var damage *segment.DamageError
			if !errors.As(err, &damage) || !strings.Contains(err.Error(), "audit.jsonl") || !strings.Contains(err.Error(), "`auditmesh verify` says") {
				t.Fatalf("told %v", err)
			}
			if raw, err := os.ReadFile(d.to + "/log/audit.jsonl"); err != nil || string(raw) != content(t) {
				t.Errorf("the file was changed: %v", err)
			}
			if now := mustGlob(t, d.to+"/log/audit-*"); tree(t, d.to+"/state/last-signed.json") != was || strings.Join(now, " ") != strings.Join(segs, " ") {
				t.Errorf("files were changed: there was %v, and is %v", segs, now)
			}
			if err := os.Remove(d.to + "/log/audit.jsonl"); err != nil { // as the error says
				t.Fatal(err)
			}
			l, _, err := d.restored(t)
			if err != nil {
				t.Fatal(err)
			}
			mustHave(t, l, 14)
		})
	}
}
