package disktest

import (
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

// fileInfo is what Stat found.
type fileInfo struct {
	name     string
	inode    *inode
	size     int64
	modified time.Time
}

// info is called with the disk's mu held.
func (f *inode) info(path string) fileInfo {
	return fileInfo{filepath.Base(path), f, int64(len(f.live)), f.modified}
}

func (i fileInfo) Name() string { return i.name }

func (i fileInfo) Size() int64 { return i.size }

func (i fileInfo) Mode() fs.FileMode {
	if i.inode.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

func (i fileInfo) ModTime() time.Time { return i.modified }

func (i fileInfo) IsDir() bool { return i.inode.dir }

func (i fileInfo) Sys() any { return nil }

// diskFile is an open file.
type diskFile struct {
	d       *Disk
	inode   *inode
	path    string
	gen     int
	at      int // of the next Read or Write
	appends bool
}

func (f *inode) truncate(n int) {
	f.live = grown(f.live, n)[:n]
	f.resized = true
}

func (f *diskFile) Write(p []byte) (n int, err error) {
	err = f.d.do("write", f.path, func() error {
		if f.gen != f.d.gen {
			return ErrCrashed
		}
		if f.appends {
			f.at = len(f.inode.live)
		}
		f.inode.live = grown(f.inode.live, f.at+len(p))
		copy(f.inode.live[f.at:], p)
		f.inode.dirty = append(f.inode.dirty, byteRange{f.at, f.at + len(p)})
		f.inode.modified = time.Now()
		f.at += len(p)
		n = len(p)
		return nil
	})
	return n, err
}

func (f *diskFile) Sync() error {
	return f.d.do("sync", f.path, func() error {
		if f.gen != f.d.gen {
			return ErrCrashed
		}
		file := f.inode
		if file.resized && len(file.live) < len(file.disk) {
			file.disk = file.disk[:len(file.live)]
		}
		for _, s := range file.dirty {
			to := min(s.to, len(file.live))
			if s.from < to {
				file.disk = grown(file.disk, to)
				copy(file.disk[s.from:to], file.live[s.from:to])
			}
		}
		if file.resized {
			file.disk = grown(file.disk, len(file.live))
		}
		file.dirty, file.resized = nil, false
		return nil
	})
}

func (f *diskFile) Truncate(size int64) error {
	return f.d.do("truncate", f.path, func() error {
		f.inode.truncate(int(size))
		return nil
	})
}

func (f *diskFile) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.dead || f.gen != f.d.gen {
		return 0, ErrCrashed
	}
	if off >= int64(len(f.inode.live)) {
		return 0, io.EOF
	}
	n := copy(p, f.inode.live[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *diskFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, int64(f.at))
	f.at += n
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *diskFile) Stat() (fs.FileInfo, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.dead {
		return nil, ErrCrashed
	}
	return f.inode.info(f.path), nil
}

func (f *diskFile) Close() error { return nil }
