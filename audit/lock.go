package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"auditmesh/internal/durable"
)

// ErrLocked means that another process writes the log.
var ErrLocked = errors.New("the log is in use")

const maxLock = 32

// lock is the file whose lock keeps a log to one process.
func (f files) lock() string { return filepath.Join(f.dir, f.name+".jsonl.lock") }

// lockFile takes the lock. The kernel frees it when the process ends, however it
// ends. The file holds the owner's pid, and nothing once the log was closed.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := make([]byte, maxLock)
		n, _ := f.ReadAt(holder, 0)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: process %s holds %s; stop it, or use its node through the socket", ErrLocked, strings.TrimSpace(string(holder[:n])), path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// unlock says that the log was closed in good order, and frees the lock.
func unlock(f *os.File) error { return errors.Join(f.Truncate(0), f.Close()) }

// lockOwner is the pid of the process that has the log open, or left it without
// closing it; empty if it was closed.
func lockOwner(fsys durable.FS, path string) (string, error) {
	raw, err := durable.ReadFile(fsys, path, maxLock)
	return strings.TrimSpace(string(raw)), err
}
