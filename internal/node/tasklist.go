package node

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"auditmesh/audit/disk"
)

// A data directory serves one tasklist. Another one would be sent the whole log,
// and the copies of members whom it does not know. So the first tasklist that a
// node serves is kept in the directory of the state, and another one is refused.

func (c Config) tasklistPath() string { return filepath.Join(c.stateDir(), "tasklist") }

// servedTasklist is the tasklist that the data directory served; empty if none.
func servedTasklist(fsys disk.FS, c Config) (string, error) {
	raw, err := disk.ReadFile(fsys, c.tasklistPath(), maxTasklistID+1)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("which tasklist was served: %w", err)
	}
	return string(raw), nil
}

// ErrForeignTasklist means that the data directory served another tasklist.
var ErrForeignTasklist = errors.New("this data directory served another tasklist")

// checkTasklist refuses a tasklist that is not the one that was served.
func checkTasklist(fsys disk.FS, c Config) error {
	served, err := servedTasklist(fsys, c)
	if err != nil || c.AuditTasklistID == "" || served == "" || served == c.AuditTasklistID {
		return err
	}
	return fmt.Errorf("audit_tasklist_id: %w: %q, not %q, which would be sent its whole log; give another --data-dir, or, if that is meant, remove %s",
		ErrForeignTasklist, served, c.AuditTasklistID, c.tasklistPath())
}

// claimTasklist is checkTasklist, and keeps the first one.
func claimTasklist(fsys disk.FS, c Config) error {
	if err := checkTasklist(fsys, c); err != nil || c.AuditTasklistID == "" {
		return err
	}
	served, err := servedTasklist(fsys, c)
	if err != nil || served != "" {
		return err
	}
	if err := disk.MkdirAll(fsys, c.stateDir(), 0o700); err != nil {
		return err
	}
	if err := disk.WriteFile(fsys, c.tasklistPath(), []byte(c.AuditTasklistID), 0o600); err != nil {
		return fmt.Errorf("keep which tasklist is served: %w", err)
	}
	return nil
}
