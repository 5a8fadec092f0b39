// Package disk holds the few file-system calls that durability rests on,
// behind an interface so that tests can make each of them fail, or crash at it.
//
// The rules it encodes are those that every write-ahead log learns sooner or
// later: a file's bytes are durable only after its Sync returned nil; a file's
// name is durable only after its directory was synced; after a Sync that failed
// the state of the file's pages is unknown, so the descriptor must not be used
// again (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File is an open file. A File is used by one goroutine at a time, except that
// ReadAt may be called concurrently with everything but Close.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	// Sync makes the file's bytes and size durable (fdatasync). After an error
	// the file must be closed and not written again through this descriptor.
	Sync() error
	// Truncate sets the size. It is durable after the next Sync.
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

// FS is the file system as the log sees it. All paths are those of the host.
// Implementations are safe for concurrent use.
type FS interface {
	// OpenFile is os.OpenFile.
	OpenFile(path string, flag int, perm fs.FileMode) (File, error)
	Rename(from, to string) error
	Remove(path string) error
	// Link makes a second hard link.
	Link(from, to string) error
	Stat(path string) (fs.FileInfo, error)
	// SameFile says whether two results of Stat are of one file, as os.SameFile.
	SameFile(a, b fs.FileInfo) bool
	ReadDir(path string) ([]fs.DirEntry, error)
	// MkdirAll is os.MkdirAll. The names are durable only after SyncDir: see the
	// function MkdirAll.
	MkdirAll(path string, perm fs.FileMode) error
	// SyncDir makes the names in a directory durable.
	SyncDir(path string) error
	// Free is how many bytes a program may still write on the file system that
	// holds path.
	Free(path string) (uint64, error)
	// Writing says whether a program has the file open for writing, as far as the
	// system tells: false if it does not.
	Writing(path string) (bool, error)
	// Lock takes the lock that path stands for, or returns ErrLocked. The file
	// holds the pid of who has the lock, or lost it without releasing it.
	Lock(path string) (Lock, error)
}

// Lock is a lock that was taken. The end of the process frees it too, however
// it ends.
type Lock interface {
	// Release frees the lock and says, by emptying its file, that the work under
	// it was ended in good order.
	Release() error
	// Close only frees the lock.
	Close() error
}

// ErrLocked means that another process has the lock.
var ErrLocked = errors.New("in use by another process")

// ReadFile reads a whole file of at most limit bytes. A larger one is an error,
// found before memory is taken for it.
func ReadFile(fsys FS, path string, limit int64) ([]byte, error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: larger than the limit of %d bytes", path, limit)
	}
	return data, nil
}

// WriteFile replaces path with data so that a crash at any instant leaves the
// old file or the new one, whole: a temporary file of a name that nobody else has,
// sync, rename, sync of the directory. When it returns nil the new content is
// durable. Of several at once one is the last.
func WriteFile(fsys FS, path string, data []byte, perm fs.FileMode) error {
	f, tmp, err := CreateTemp(fsys, path, perm)
	if err != nil {
		return err
	}
	if err := writeSynced(f, tmp, data); err != nil {
		return discard(fsys, tmp, err)
	}
	if err := fsys.Rename(tmp, path); err != nil {
		return discard(fsys, tmp, fmt.Errorf("replace %s: %w", path, err))
	}
	return fsys.SyncDir(filepath.Dir(path))
}

func writeSynced(f File, path string, data []byte) error {
	if _, err := f.Write(data); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", path, err), f.Close())
	}
	return f.Close()
}

// discard removes a temporary file after a failure: tried again and again on a full
// disk, they would be ever more. One that stays is removed by RemoveTemps.
func discard(fsys FS, tmp string, why error) error {
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(why, err)
	}
	return why
}

// ReplaceLink makes path a hard link to target, whether or not path existed:
// a new link beside it, renamed onto it. The caller syncs the directory.
func ReplaceLink(fsys FS, target, path string) error {
	tmp := TempName(path)
	if err := fsys.Link(target, tmp); err != nil {
		return fmt.Errorf("link %s: %w", path, err)
	}
	if err := fsys.Rename(tmp, path); err != nil {
		return discard(fsys, tmp, fmt.Errorf("link %s: %w", path, err))
	}
	// Where both are links to one file, rename(2) leaves them as they are.
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
