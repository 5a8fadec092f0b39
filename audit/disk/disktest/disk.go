package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"auditmesh/audit/disk"
)

// ErrCrashed is returned by every operation after a crash until Restart.
var ErrCrashed = errors.New("the machine has crashed")

// Disk is a file system in memory that tells what programs see from what is on
// the disk. Bytes are on the disk after Sync of their file, names after SyncDir
// of their directory. A Sync that fails forgets what it was to write, as Linux
// does: programs still see it, and no later Sync writes it. Restart is a power
// cut: of what was not synced any part is kept.
type Disk struct {
	mu    sync.Mutex
	names map[string]*inode // guarded by mu: what programs see
	disk  map[string]*inode // guarded by mu: names that are durable
	ops   []nameOp          // guarded by mu: changes of names since
	locks map[string]bool   // guarded by mu
	fail  func(Op) (err error, after bool)
	gen   int // guarded by mu: a file opened before a restart is dead
	dead  bool
}

// inode is a file. Its data are guarded by the disk's mu.
type inode struct {
	live, disk []byte
	dirty      []span // what of live is not on the disk, and will be with the next sync
	resized    bool
	modified   time.Time
}

type span struct{ from, to int }

// nameOp is one change of names that a crash may lose as a whole.
type nameOp struct {
	dir string
	set map[string]*inode // nil: the name is removed
}

// NewDisk is an empty disk.
func NewDisk() *Disk {
	return &Disk{names: make(map[string]*inode), disk: make(map[string]*inode), locks: make(map[string]bool)}
}

// SetFail makes operations fail from now on as fail says; nil ends that.
func (d *Disk) SetFail(fail func(Op) (err error, after bool)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// Crash ends all operations until Restart.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
}

// Restart brings back what a power cut left: each write and each change of a name
// that was not synced is kept if keep says so.
func (d *Disk) Restart(keep func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, op := range d.ops {
		if keep() {
			for name, file := range op.set {
				setName(d.disk, name, file)
			}
		}
	}
	for _, file := range inodesOf(d.names, d.disk) {
		file.restart(keep)
	}
	d.names, d.ops, d.locks = maps.Clone(d.disk), nil, make(map[string]bool)
	d.fail, d.dead = nil, false
	d.gen++
}

// KeepSome is a Restart's choice by chance.
func KeepSome(rng *rand.Rand) func() bool { return func() bool { return rng.IntN(2) == 0 } }

func inodesOf(tables ...map[string]*inode) []*inode {
	var list []*inode
	for _, table := range tables {
		for _, name := range slices.Sorted(maps.Keys(table)) { // in order, so that a seed repeats
			if !slices.Contains(list, table[name]) {
				list = append(list, table[name])
			}
		}
	}
	return list
}

func (f *inode) restart(keep func() bool) {
	size := len(f.disk)
	if f.resized && keep() {
		size = len(f.live)
	}
	for _, s := range f.dirty {
		const sector = 64
		for from := s.from; from < s.to; from = (from/sector + 1) * sector {
			to := min((from/sector+1)*sector, s.to, len(f.live))
			if from >= to || !keep() {
				continue
			}
			f.disk = grown(f.disk, to)
			copy(f.disk[from:to], f.live[from:to])
			size = max(size, to) // a block that was written lengthened the file
		}
	}
	f.disk = grown(f.disk, size)[:size]
	f.live, f.dirty, f.resized = bytes.Clone(f.disk), nil, false
}

func grown(b []byte, n int) []byte {
	for len(b) < n {
		b = append(b, 0)
	}
	return b
}

func setName(table map[string]*inode, name string, file *inode) {
	if file == nil {
		delete(table, name)
		return
	}
	table[name] = file
}

// do runs an operation with the lock held, or makes it fail.
func (d *Disk) do(name, path string, op func() error) error {
	d.mu.Lock()
	fail := d.fail
	dead := d.dead
	d.mu.Unlock()
	var err error
	after := false
	if dead {
		err = ErrCrashed
	} else if fail != nil {
		err, after = fail(Op{name, path})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		return op()
	}
	if after {
		if opErr := op(); opErr != nil {
			return opErr
		}
	} else if name == "sync" {
		if file := d.names[path]; file != nil {
			file.dirty, file.resized = nil, false // the pages are clean now, and not on the disk
		}
	}
	return &fs.PathError{Op: name, Path: path, Err: err}
}

func (d *Disk) change(path string, set map[string]*inode) {
	for name, file := range set {
		setName(d.names, name, file)
	}
	d.ops = append(d.ops, nameOp{filepath.Dir(path), set})
}

// OpenFile is that of disk.FS.
func (d *Disk) OpenFile(path string, flag int, _ fs.FileMode) (disk.File, error) {
	f := &diskFile{d: d, path: path, appends: flag&os.O_APPEND != 0}
	open := func() error {
		f.gen = d.gen
		f.inode = d.names[path]
		if f.inode == nil {
			if flag&os.O_CREATE == 0 {
				return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			f.inode = &inode{modified: time.Now()}
			d.change(path, map[string]*inode{path: f.inode})
		}
		if flag&os.O_TRUNC != 0 && len(f.inode.live) > 0 {
			f.inode.truncate(0)
		}
		return nil
	}
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		return f, d.do("open", path, open)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrCrashed
	}
	return f, open()
}

// Rename is that of disk.FS.
func (d *Disk) Rename(from, to string) error {
	return d.do("rename", to, func() error {
		file := d.names[from]
		if file == nil {
			return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
		}
		if d.names[to] != file { // else rename(2) does nothing
			d.change(to, map[string]*inode{from: nil, to: file})
		}
		return nil
	})
}

// Remove is that of disk.FS.
func (d *Disk) Remove(path string) error {
	return d.do("remove", path, func() error {
		if d.names[path] == nil {
			return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
		}
		d.change(path, map[string]*inode{path: nil})
		return nil
	})
}

// Link is that of disk.FS.
func (d *Disk) Link(from, to string) error {
	return d.do("link", to, func() error {
		if d.names[from] == nil || d.names[to] != nil {
			return &fs.PathError{Op: "link", Path: to, Err: fs.ErrExist}
		}
		d.change(to, map[string]*inode{to: d.names[from]})
		return nil
	})
}

// MkdirAll does nothing: directories are there.
func (d *Disk) MkdirAll(string, fs.FileMode) error { return nil }

// SyncDir is that of disk.FS.
func (d *Disk) SyncDir(path string) error {
	return d.do("syncdir", path, func() error {
		rest := d.ops[:0:0]
		for _, op := range d.ops {
			if op.dir != filepath.Clean(path) {
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

// Stat is that of disk.FS.
func (d *Disk) Stat(path string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrCrashed
	}
	file := d.names[path]
	if file == nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	return file.info(path), nil
}

// SameFile is that of disk.FS.
func (d *Disk) SameFile(a, b fs.FileInfo) bool { return a.(fileInfo).inode == b.(fileInfo).inode }

// ReadDir is that of disk.FS.
func (d *Disk) ReadDir(path string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, ErrCrashed
	}
	var list []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		if filepath.Dir(name) == filepath.Clean(path) {
			list = append(list, fs.FileInfoToDirEntry(d.names[name].info(name)))
		}
	}
	return list, nil
}

// Free is without end.
func (d *Disk) Free(string) (uint64, error) { return 1 << 62, nil }

// Writing is never so.
func (d *Disk) Writing(string) (bool, error) { return false, nil }

// Kill is what the end of a process does to the disk: its locks are free, and
// nothing else changes.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.locks)
}

// Lock is that of disk.FS.
func (d *Disk) Lock(path string) (disk.Lock, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locks[path] {
		return nil, disk.ErrLocked
	}
	d.locks[path] = true
	d.names[path] = &inode{live: []byte("1\n")}
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
	l.d.names[l.path] = &inode{}
	l.d.mu.Unlock()
	return l.Close()
}

// String lists what programs see, for a test that failed.
func (d *Disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		fmt.Fprintf(&b, "%s: %d bytes, %d on the disk\n", name, len(d.names[name].live), len(d.names[name].disk))
	}
	return b.String()
}
