package disktest_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
)

func keepNothing() bool { return false }

func write(t *testing.T, d *disktest.Disk, path string) {
	t.Helper()
	f, err := d.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A file whose bytes and name are synced is lost with its directory, where the
// name of that, or of one above it, is not.
func TestDirectoryIsLostWithAllInIt(t *testing.T) {
	for name, c := range map[string]struct {
		synced []string
		want   bool
	}{
		"its own only":  {[]string{"/a/b"}, false},
		"one above":     {[]string{"/a/b", "/a"}, false},
		"all":           {[]string{"/a/b", "/a", "/"}, true},
		"not its own":   {[]string{"/a", "/"}, false},
		"a gap between": {[]string{"/a/b", "/"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := disktest.NewDisk()
			if err := d.MkdirAll("/a/b", 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, d, "/a/b/f")
			for _, dir := range c.synced {
				if err := d.SyncDir(dir); err != nil {
					t.Fatal(err)
				}
			}
			d.Crash()
			d.Restart(keepNothing)
			if _, err := d.Stat("/a/b/f"); (err == nil) != c.want || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after a power cut: %v\n%s", err, d)
			}
		})
	}
}

// What a directory is missing for is refused, as a real disk refuses it.
func TestNoDirectoryNoFile(t *testing.T) {
	d := disktest.NewDisk()
	write(t, d, "/f")
	for name, op := range map[string]func() error{
		"create": func() error { _, err := d.OpenFile("/no/f", os.O_CREATE|os.O_WRONLY, 0o600); return err },
		"rename": func() error { return d.Rename("/f", "/no/f") },
		"link":   func() error { return d.Link("/f", "/no/f") },
		"lock":   func() error { _, err := d.Lock("/no/lock"); return err },
		"list":   func() error { _, err := d.ReadDir("/no"); return err },
		"sync":   func() error { return d.SyncDir("/no") },
	} {
		if err := op(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.MkdirAll("/f/g", 0o700); err == nil {
		t.Error("a directory was made in a file")
	}
	if _, err := d.OpenFile("/f", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made anew: %v", err)
	}
}

// MkdirAll of this package syncs what the disk's own does not, also where the call
// before made the directories and then failed.
func TestMkdirAllIsDurable(t *testing.T) {
	for _, failed := range []bool{false, true} {
		d := disktest.NewDisk()
		if failed {
			d.SetFail(func(op disktest.Op) (error, bool) {
				if op.Name == "syncdir" {
					return errors.New("no"), false
				}
				return nil, false
			})
			if err := disk.MkdirAll(d, "/a/b/c", 0o700); err == nil {
				t.Fatal("a sync failed, and nothing was said")
			}
			d.SetFail(nil)
		}
		if err := disk.MkdirAll(d, "/a/b/c", 0o700); err != nil {
			t.Fatal(err)
		}
		d.Crash()
		d.Restart(keepNothing)
		if info, err := d.Stat("/a/b/c"); err != nil || !info.IsDir() {
			t.Errorf("failed before: %v: %v\n%s", failed, err, d)
		}
	}
}
