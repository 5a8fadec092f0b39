package audit

import (
	"path/filepath"
	"strings"

	"auditmesh/internal/durable"
)

const maxLock = 32

// lock is the file whose lock keeps a log to one process.
func (f files) lock() string { return filepath.Join(f.dir, f.name+".jsonl.lock") }

// lockOwner is the pid of the process that has the log open, or left it without
// closing it; empty if it was closed.
func lockOwner(fsys durable.FS, path string) (string, error) {
	raw, err := durable.ReadFile(fsys, path, maxLock)
	return strings.TrimSpace(string(raw)), err
}

// closed says whether the log's owner closed it; a copy has none.
func closed(fsys durable.FS, path string) bool {
	owner, err := lockOwner(fsys, path)
	return err == nil && owner == ""
}
