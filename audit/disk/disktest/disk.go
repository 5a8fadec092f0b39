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
	"syscall"
	"time"

	"auditmesh/audit/disk"
)

// ErrCrashed is returned by every operation after a crash until Restart.
var ErrCrashed = errors.New("the machine has crashed")

// Disk is a file system in memory that tells what programs see from what is on
// the disk. Bytes are on the disk after Sync of their file, names after SyncDir
// of their directory, which is itself on the disk only after SyncDir of the one
// above it. A Sync that fails forgets what it was to write, as Linux does:
// programs still see it, and no later Sync writes it. Restart is a power cut: of
// what was not synced any part is kept, and a directory whose name is lost is lost
// with all that is in it.
type Disk struct {
	mu    sync.Mutex
	names map[string]*inode // guarded by mu: what programs see
	disk  map[string]*inode // guarded by mu: names that are durable
	ops   []nameOp          // guarded by mu: changes of names since
	locks map[string]bool   // guarded by mu
	fail  func(Op) (err error, after bool)
	gen   int // guarded by mu: a file opened before a restart is dead
	made  int // guarded by mu: inodes so far
	dead  bool
}

// inode is a file or a directory. Its data are guarded by the disk's mu.
type inode struct {
	id         int  // counts the disk's inodes, so that a seed repeats
	dir        bool // what is in it, the disk's names say
	live, disk []byte
	dirty      []byteRange // what of live is not on the disk, and will be with the next sync
	resized    bool
	modified   time.Time
}

type byteRange struct{ from, to int }

// nameOp is one change of names that a crash may lose as a whole.
type nameOp struct {
	dir string
	set map[string]*inode // nil: the name is removed
}

// NewDisk is an empty disk: the directory / and nothing in it.
func NewDisk() *Disk {
	root := &inode{dir: true}
	return &Disk{
		names: map[string]*inode{"/": root}, disk: map[string]*inode{"/": root}, locks: make(map[string]bool),
	}
}

// newInode is called with mu held.
func (d *Disk) newInode() *inode {
	d.made++
	return &inode{id: d.made, modified: time.Now()}
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
	d.dropOrphans()
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
	found := make(map[*inode]bool)
	for _, table := range tables {
		for _, file := range table {
			found[file] = true
		}
	}
	byAge := func(a, b *inode) int { return a.id - b.id } // temporary names are random
	return slices.SortedFunc(maps.Keys(found), byAge)
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
	path = filepath.Clean(path)
	f := &diskFile{d: d, path: path, appends: flag&os.O_APPEND != 0}
	open := func() error {
		f.gen = d.gen
		f.inode = d.names[path]
		switch {
		case f.inode != nil && f.inode.dir && flag&(os.O_WRONLY|os.O_RDWR) != 0:
			return &fs.PathError{Op: "open", Path: path, Err: syscall.EISDIR}
		case f.inode != nil && flag&os.O_EXCL != 0:
			return &fs.PathError{Op: "open", Path: path, Err: fs.ErrExist}
		case f.inode != nil:
		case flag&os.O_CREATE == 0:
			return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		default:
			if err := d.parentLocked("open", path); err != nil {
				return err
			}
			f.inode = d.newInode()
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
	from, to = filepath.Clean(from), filepath.Clean(to)
	return d.do("rename", to, func() error {
		file := d.names[from]
		if file == nil {
			return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
		}
		if err := d.parentLocked("rename", to); err != nil {
			return err
		}
		if old := d.names[to]; file.dir || old != nil && old.dir { // nobody renames directories yet
			return &fs.PathError{Op: "rename", Path: to, Err: syscall.EISDIR}
		}
		if d.names[to] != file { // else rename(2) does nothing
			d.change(to, map[string]*inode{from: nil, to: file})
		}
		return nil
	})
}

// Remove is that of disk.FS.
func (d *Disk) Remove(path string) error {
	path = filepath.Clean(path)
	return d.do("remove", path, func() error {
		if d.names[path] == nil {
			return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
		}
		if d.names[path].dir && len(d.childrenLocked(path)) > 0 {
			return &fs.PathError{Op: "remove", Path: path, Err: syscall.ENOTEMPTY}
		}
		d.change(path, map[string]*inode{path: nil})
		return nil
	})
}

// Link is that of disk.FS.
func (d *Disk) Link(from, to string) error {
	from, to = filepath.Clean(from), filepath.Clean(to)
	return d.do("link", to, func() error {
		if d.names[from] == nil {
			return &fs.PathError{Op: "link", Path: from, Err: fs.ErrNotExist}
		}
		if d.names[to] != nil {
			return &fs.PathError{Op: "link", Path: to, Err: fs.ErrExist}
		}
		if err := d.parentLocked("link", to); err != nil {
			return err
		}
		d.change(to, map[string]*inode{to: d.names[from]})
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
	file := d.names[filepath.Clean(path)]
	if file == nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	return file.info(path), nil
}

// SameFile is that of disk.FS.
func (d *Disk) SameFile(a, b fs.FileInfo) bool { return a.(fileInfo).inode == b.(fileInfo).inode }

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

// String lists what programs see, for a test that failed.
func (d *Disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		if d.names[name].dir {
			fmt.Fprintf(&b, "%s: a directory, on the disk: %v\n", name, d.disk[name] != nil)
			continue
		}
		fmt.Fprintf(&b, "%s: %d bytes, %d on the disk\n", name, len(d.names[name].live), len(d.names[name].disk))
	}
	return b.String()
}
