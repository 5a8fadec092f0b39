package disktest

import "auditmesh/audit/disk"

// Lock is that of disk.FS.
func (d *Disk) Lock(path string) (disk.Lock, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locks[path] {
		return nil, disk.ErrLocked
	}
	if err := d.parentLocked("lock", path); err != nil {
		return nil, err
	}
	d.locks[path] = true
	if d.names[path] == nil { // not one of the changes that a crash may keep: nobody needs the file
		d.names[path] = d.newInode()
	}
	d.names[path].live = []byte("1\n")
	return diskLock{d, path}, nil
}

type diskLock struct {
	d    *Disk
	path string
}

func (l diskLock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	delete(l.d.locks, l.path)
	return nil
}

func (l diskLock) Release() error {
	l.d.mu.Lock()
	if file := l.d.names[l.path]; file != nil {
		file.live = nil
	}
	l.d.mu.Unlock()
	return l.Close()
}
