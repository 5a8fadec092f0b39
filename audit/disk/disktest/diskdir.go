package disktest

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"syscall"
)

// MkdirAll is that of disk.FS. Each directory that it makes is a change of a name,
// which a power cut may lose until the directory above it was synced.
func (d *Disk) MkdirAll(path string, _ fs.FileMode) error {
	path = filepath.Clean(path)
	return d.do("mkdir", path, func() error {
		var missing []string
		for dir := path; ; dir = filepath.Dir(dir) {
			if at := d.names[dir]; at != nil && !at.dir {
				return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
			} else if at != nil {
				break
			}
			missing = append(missing, dir)
		}
		for _, dir := range slices.Backward(missing) {
			made := d.newInode()
			made.dir = true
			d.change(dir, map[string]*inode{dir: made})
		}
		return nil
	})
}

// SyncDir is that of disk.FS. It makes the names in the directory durable, not the
// directory's own.
func (d *Disk) SyncDir(path string) error {
	path = filepath.Clean(path)
	return d.do("syncdir", path, func() error {
		if at := d.names[path]; at == nil || !at.dir {
			return &fs.PathError{Op: "sync directory", Path: path, Err: fs.ErrNotExist}
		}
		rest := d.ops[:0:0]
		for _, op := range d.ops {
			if op.dir != path {
				rest = append(rest, op)
				continue
			}
			for name, file := range op.set {
				setName(d.disk, name, file)
			}
		}
		d.ops = rest
		return nil
	})
}

// ReadDir is that of disk.FS.
func (d *Disk) ReadDir(path string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrCrashed
	}
	path = filepath.Clean(path)
	if at := d.names[path]; at == nil || !at.dir {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	var list []fs.DirEntry
	for _, name := range d.childrenLocked(path) {
		list = append(list, fs.FileInfoToDirEntry(d.names[name].info(name)))
	}
	return list, nil
}

// childrenLocked are the names in a directory, in order.
func (d *Disk) childrenLocked(path string) (list []string) {
	for name := range d.names {
		if name != "/" && filepath.Dir(name) == path {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// parentLocked refuses a name in a directory that is not there.
func (d *Disk) parentLocked(op, path string) error {
	if at := d.names[filepath.Dir(path)]; at == nil || !at.dir {
		return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
	}
	return nil
}

// dropOrphans loses what stands in directories that a power cut lost. It is called
// with mu held.
func (d *Disk) dropOrphans() {
	for _, name := range slices.Sorted(maps.Keys(d.disk)) { // what is above comes first
		if at := d.disk[filepath.Dir(name)]; at == nil || !at.dir {
			delete(d.disk, name)
		}
	}
}
