// Package disktest makes file systems fail on purpose. Only tests use it.
package disktest

import (
	"io/fs"
	"os"
	"sync"

	"auditmesh/audit/disk"
)

// Op is one operation that can be made to fail.
type Op struct {
	Name string // "open", "write", "sync", "truncate", "rename", "remove", "link", "syncdir", "mkdir"
	Path string
}

// FS passes operations on to another file system, unless Fail returns an error
// for one: then it did not take effect. With After set it did, and is reported
// as failed all the same.
type FS struct {
	disk.FS

	mu   sync.Mutex
	fail func(Op) (err error, after bool) // guarded by mu
}

// New wraps a file system; nothing fails until SetFail.
func New(under disk.FS) *FS { return &FS{FS: under} }

// SetFail makes operations fail from now on as fail says; nil ends that. It may
// be called from any goroutine.
func (f *FS) SetFail(fail func(Op) (err error, after bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *FS) do(name, path string, op func() error) error {
	f.mu.Lock()
	fail := f.fail
	f.mu.Unlock()
	if fail == nil {
		return op()
	}
	err, after := fail(Op{name, path})
	if err == nil {
		return op()
	}
	if after {
		if opErr := op(); opErr != nil {
			return opErr
		}
	}
	return &fs.PathError{Op: name, Path: path, Err: err}
}

// OpenFile may fail as "open" when it creates the file.
func (f *FS) OpenFile(path string, flag int, perm fs.FileMode) (disk.File, error) {
	var file disk.File
	open := func() (err error) {
		file, err = f.FS.OpenFile(path, flag, perm)
		return err
	}
	var err error
	if flag&os.O_CREATE != 0 {
		err = f.do("open", path, open)
	} else {
		err = open()
	}
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	return &faultFile{File: file, fs: f, path: path}, nil
}

// Rename may fail as "rename".
func (f *FS) Rename(from, to string) error {
	return f.do("rename", to, func() error { return f.FS.Rename(from, to) })
}

// Remove may fail as "remove".
func (f *FS) Remove(path string) error {
	return f.do("remove", path, func() error { return f.FS.Remove(path) })
}

// Link may fail as "link".
func (f *FS) Link(from, to string) error {
	return f.do("link", to, func() error { return f.FS.Link(from, to) })
}

// MkdirAll may fail as "mkdir".
func (f *FS) MkdirAll(path string, perm fs.FileMode) error {
	return f.do("mkdir", path, func() error { return f.FS.MkdirAll(path, perm) })
}

// SyncDir may fail as "syncdir".
func (f *FS) SyncDir(path string) error {
	return f.do("syncdir", path, func() error { return f.FS.SyncDir(path) })
}

type faultFile struct {
	disk.File
	fs   *FS
	path string
}

func (f *faultFile) Write(p []byte) (n int, err error) {
	err = f.fs.do("write", f.path, func() (err error) {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f *faultFile) Sync() error { return f.fs.do("sync", f.path, f.File.Sync) }

func (f *faultFile) Truncate(size int64) error {
	return f.fs.do("truncate", f.path, func() error { return f.File.Truncate(size) })
}
