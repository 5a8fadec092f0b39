package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// loop is a small file system of its own, in a file, that can be stopped as a
// power cut stops it.
type loop struct {
	image, dir string
}

// loopMount makes one; it needs root.
func loopMount(t *testing.T) *loop {
	t.Helper()
	needs(t, "mkfs.ext4", "e2fsprogs")
	l := &loop{image: filepath.Join(t.TempDir(), "image"), dir: t.TempDir()}
	if err := os.WriteFile(l.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(l.image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", l.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", l.image, l.dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no loop device to be had here: %v: %s", err, strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() { l.unmount(t) })
	return l
}

func (l *loop) unmount(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("umount", l.dir).CombinedOutput(); err != nil {
		t.Errorf("umount: %v\n%s", err, out)
	}
}

// cut stops the file system without writing anything more, not even its journal:
// FS_IOC_SHUTDOWN, which is what `xfs_io -x -c shutdown` calls.
func (l *loop) cut(t *testing.T) {
	t.Helper()
	const fsIOCShutdown, noLogFlush = 0x8004587d, 2
	f, err := os.Open(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), fsIOCShutdown, noLogFlush); err != nil {
		t.Fatalf("stop the file system: %v", err)
	}
}

// again mounts it as after a restart.
func (l *loop) again(t *testing.T) {
	t.Helper()
	l.unmount(t)
	if out, err := exec.Command("mount", "-o", "loop", l.image, l.dir).CombinedOutput(); err != nil {
		t.Fatalf("mount again: %v\n%s", err, out)
	}
}
