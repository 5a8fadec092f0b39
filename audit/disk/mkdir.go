package disk

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// MkdirAll makes a directory and what is missing above it, durable when it returns
// nil: each one's name is synced in the directory above.
//
// Those that stood there may have been made a moment ago, by another process or by
// a call that then failed. So all above are synced too, as far as the system lets
// this user do that; /home may not be his to open.
func MkdirAll(fsys FS, path string, perm fs.FileMode) error {
	path = filepath.Clean(path)
	made := make(map[string]bool)
	for dir := path; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if there, err := Exists(fsys, dir); err != nil {
			return err
		} else if there {
			break
		}
		made[dir] = true
	}
	if err := fsys.MkdirAll(path, perm); err != nil {
		return err
	}
	for dir := path; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		err := fsys.SyncDir(filepath.Dir(dir))
		if err != nil && (made[dir] || !notOurs(err)) {
			return err
		}
	}
	return nil
}

// notOurs says whether a sync failed since this user may not do that there, or the
// file system knows no such thing.
func notOurs(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EROFS)
}
