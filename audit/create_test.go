package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
)

// bareOptions are of a log of which nothing is there, not even a state.
func bareOptions(t *testing.T) (o Options, root string) {
	t.Helper()
	root = t.TempDir()
	return Options{Path: root + "/log/audit.jsonl", SignedPath: root + "/state/last-signed.json", Key: testKey(1)}, root
}

// tree is every name beneath a directory, and the content of the files.
func tree(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		b.WriteString(path + "\n")
		if !e.IsDir() {
			raw, err := os.ReadFile(path)
			b.Write(raw)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Opening makes nothing: no directory, no lock file, no segment. The error is
// fs.ErrNotExist and says how a log is made.
func TestOpenOfNothingChangesNothing(t *testing.T) {
	for name, before := range map[string]func(o Options){
		"nothing": func(Options) {},
		"a state": func(o Options) { InitSignedState(disk.OS{}, o.SignedPath, testPeer(o)) },
		"an empty directory": func(o Options) {
			InitSignedState(disk.OS{}, o.SignedPath, testPeer(o))
			os.Mkdir(filepath.Dir(o.Path), 0o700)
		},
		"a file that is no log": func(o Options) {
			os.Mkdir(filepath.Dir(o.Path), 0o700)
			os.WriteFile(o.Path, []byte("{}\n"), 0o600)
		},
		"files of others": func(o Options) {
			os.Mkdir(filepath.Dir(o.Path), 0o700)
			os.WriteFile(filepath.Dir(o.Path)+"/audit-2024.jsonl", []byte("{}\n"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, root := bareOptions(t)
			before(o)
			was := tree(t, root)
			l, err := Open(o)
			if err == nil {
				l.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "audit.Create") || !strings.Contains(err.Error(), o.Path) {
				t.Errorf("told %v", err)
			}
			if is := tree(t, root); is != was {
				t.Errorf("there was\n%s\nand is\n%s", was, is)
			}
		})
	}
}

// Create makes all that Open needs, once.
func TestCreateThenOpen(t *testing.T) {
	o, root := bareOptions(t)
	if err := Create(o); err != nil {
		t.Fatal(err)
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	appendN(t, l, 0, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	was := tree(t, root)
	for name, make := range map[string]func(Options) error{"create": Create, "adopt": Adopt} {
		if err := make(o); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s once more: %v", name, err)
		}
	}
	if is := tree(t, root); is != was {
		t.Errorf("there was\n%s\nand is\n%s", was, is)
	}
	// A log that is gone is not made anew: its key signed already.
	if err := os.RemoveAll(filepath.Dir(o.Path)); err != nil {
		t.Fatal(err)
	}
	if err := Create(o); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "signed") {
		t.Errorf("in place of one that is gone: %v", err)
	}
	if _, err := Open(o); !errors.Is(err, ErrBehind) {
		t.Errorf("opening one that is gone: %v", err)
	}
}

// Adopt takes over a file as it is, which Create refuses.
func TestAdoptThenOpen(t *testing.T) {
	o, root := bareOptions(t)
	if err := Adopt(o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Path, []byte(startedLines(t, 0, 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Create(o); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "audit.Adopt") {
		t.Errorf("create: %v", err)
	}
	if err := Adopt(o); err != nil {
		t.Fatal(err)
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if heldLines(t, l) != startedLines(t, 0, 4) {
		t.Error("lines differ")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath}); err != nil || len(rep.Problems) > 0 {
		t.Errorf("%+v, %v\n%s", rep, err, tree(t, root))
	}
}

// The power fails at any step of making a log: it is made by the next try, and
// what was said to be made is there.
func TestCreateCrash(t *testing.T) {
	for _, after := range []bool{false, true} {
		for k, hit := 0, true; hit; k++ {
			hit = false
			for cut, keep := range cuts(k, 4) {
				d := disktest.NewDisk()
				o := Options{Path: "/a/b/log/audit.jsonl", SignedPath: "/a/state/last-signed.json", Key: testKey(1), FS: d}
				failed := crashAtOp(d, k, after)
				err := Create(o)
				hit = hit || *failed
				d.Crash()
				d.Restart(keep)
				if err == nil {
					if l, err := Open(o); err != nil {
						t.Fatalf("operation %d, cut %d: made, and then %v\n%s", k, cut, err, d)
					} else if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					continue
				}
				if err := Create(o); err != nil && !errors.Is(err, fs.ErrExist) {
					t.Fatalf("operation %d, cut %d: once more: %v\n%s", k, cut, err, d)
				}
				l, err := Open(o)
				if err != nil {
					t.Fatalf("operation %d, cut %d: %v\n%s", k, cut, err, d)
				}
				appendN(t, l, 0, 1)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if !hit && k < 10 {
				t.Errorf("%d operations: that cannot be all", k)
			}
		}
	}
}

// Of many that make a log or open it for the first time at one time, one does; the
// others are told why not.
func TestMakersAtOnce(t *testing.T) {
	for name, make := range map[string]func(Options) (*Log, error){
		"create":         func(o Options) (*Log, error) { return nil, Create(o) },
		"open or create": OpenOrCreate,
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := bareOptions(t)
			if err := InitSignedState(disk.OS{}, o.SignedPath, testPeer(o)); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			logs, errs := [16]*Log{}, [16]error{}
			for i := range logs {
				wg.Go(func() { logs[i], errs[i] = make(o) })
			}
			wg.Wait()
			won := 0
			for i, err := range errs {
				switch {
				case err == nil:
					won++
				case !errors.Is(err, ErrLocked) && !errors.Is(err, fs.ErrExist):
					t.Errorf("told %v", err)
				}
				if logs[i] != nil {
					if err := logs[i].Close(); err != nil {
						t.Error(err)
					}
				}
			}
			if won != 1 {
				t.Errorf("%d have made it", won)
			}
			l, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
