package segment

import (
	"strings"

	"auditmesh/audit/disk"
)

const maxLock = 32

// lockOwner is the pid of the process that has the log open, or left it without
// closing it; empty if it was closed.
func lockOwner(fsys disk.FS, path string) (string, error) {
	raw, err := disk.ReadFile(fsys, path, maxLock)
	return strings.TrimSpace(string(raw)), err
}

// Closed says whether the log's owner closed it; a copy has none.
func Closed(fsys disk.FS, path string) bool {
	owner, err := lockOwner(fsys, path)
	return err == nil && owner == ""
}
