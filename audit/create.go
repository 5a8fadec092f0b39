package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// Making a log is not opening one. Create and Adopt make; Open makes nothing.
// OpenOrCreate is for a program that is started again and again, and whose first
// start is like any other.

// errNoLog is what Open says where nothing was ever made. It is fs.ErrNotExist.
func errNoLog(o Options) error {
	return fmt.Errorf("no log was made at %s: audit.Create makes one, and audit.Adopt makes one of a JSONL file (%w)", o.Path, fs.ErrNotExist)
}

// Create makes an empty log at o.Path, with its directory and its first segment,
// for a key that has never signed a log. It makes the last-signed state too, where
// InitSignedState has not. All of it is durable when Create returns nil; after a
// crash, or an error of the disk, Create is called again.
//
// Where a log is, or a file stands at o.Path, or the state says that something was
// signed, it changes nothing and returns an error that is fs.ErrExist. Of several
// processes that call it at one time one makes the log; the others get that error, or
// ErrLocked.
func Create(o Options) error {
	o.fill()
	return makeLog(o, func(f segment.Layout, peer string) error {
		if there, err := disk.Exists(o.FS, o.Path); err != nil {
			return err
		} else if there {
			return fmt.Errorf("create a log: %s stands there already (%w): audit.Adopt makes a log of it", o.Path, fs.ErrExist)
		}
		return createFirst(o.FS, f, peer)
	})
}

// Adopt makes a log of the JSONL file at o.Path, which becomes the first segment
// as it is, not a byte of it changed. It is Create in all else. A file that another
// program has open for writing is refused (ErrForeignWrite), and one that is not
// there is fs.ErrNotExist.
func Adopt(o Options) error {
	o.fill()
	return makeLog(o, func(f segment.Layout, peer string) error {
		_, err := adoptFile(o, f, peer)
		return err
	})
}

// OpenOrCreate opens the log at o.Path. Where nothing was ever made it makes it as
// Create does, or of the JSONL file that stands there as Adopt does. The
// last-signed state must be there already (InitSignedState): it is not made anew if
// it was lost. Of several processes that call it at one time one opens the log; the
// others get ErrLocked.
func OpenOrCreate(o Options) (*Log, error) {
	o.fill()
	if err := disk.MkdirAll(o.FS, filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("make the log's directory: %w", err)
	}
	return open(o, true)
}

// makeLog runs a function that makes the first segment, under the lock of a log
// that is not there yet. o is filled in.
func makeLog(o Options, first func(segment.Layout, string) error) error {
	files, peer := segment.LayoutOf(o.Path), merkle.PeerID(o.Key.Public().(ed25519.PublicKey))
	if err := nothingMade(o, files, peer); err != nil { // before a directory is made
		return err
	}
	if err := disk.MkdirAll(o.FS, files.Dir, 0o700); err != nil {
		return fmt.Errorf("make the log's directory: %w", err)
	}
	lock, err := o.takeLocks(files)
	if err != nil {
		return err
	}
	err = func() error {
		if err := nothingMade(o, files, peer); err != nil { // by whoever had the lock
			return err
		}
		if err := removeTemps(o); err != nil {
			return err
		}
		if _, err := readSigned(o.FS, o.SignedPath, peer); errors.Is(err, ErrNoSignedState) {
			if err := InitSignedState(o.FS, o.SignedPath, peer); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		return first(files, peer)
	}()
	return errors.Join(err, lock.Release())
}

// nothingMade refuses to make a log where one is, or was.
func nothingMade(o Options, f segment.Layout, peer string) error {
	if there, err := made(o.FS, f); err != nil {
		return err
	} else if there != "" {
		return fmt.Errorf("create a log: one is at %s already, with %s (%w): audit.Open opens it", o.Path, there, fs.ErrExist)
	}
	signed, err := readSigned(o.FS, o.SignedPath, peer)
	if errors.Is(err, ErrNoSignedState) {
		return nil
	}
	if err != nil {
		return err
	}
	if signed.Size > 0 || signed.Pending != nil || len(signed.Sealed) > 0 {
		return fmt.Errorf("create a log: %s says that this key signed one before (%w): put that log back, or use audit.Succeed", o.SignedPath, fs.ErrExist)
	}
	return nil
}

// made is a file that only a log has which is or was there, empty if there is none.
func made(fsys disk.FS, f segment.Layout) (string, error) {
	entries, err := fsys.ReadDir(f.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for _, e := range entries {
		file, ok := f.Parse(e.Name())
		if !ok {
			continue
		}
		switch file.Kind {
		case segment.KindSegment, segment.KindCheckpoints, segment.KindSealed, segment.KindSuccessor:
			return e.Name(), nil
		}
	}
	return "", err
}

// createFirst makes an empty first segment.
func createFirst(fsys disk.FS, f segment.Layout, peer string) error {
	_, err := segment.Create(fsys, f, segment.Head{Peer: peer, Frontier: []merkle.Hash{}})
	return err
}

// adoptFile makes the file at the path the first segment, without rewriting it, and
// returns its size.
func adoptFile(o Options, f segment.Layout, peer string) (int64, error) {
	fsys := o.FS
	if writing, err := fsys.Writing(o.Path); err != nil {
		return 0, err
	} else if writing {
		return 0, fmt.Errorf("%w: %s is open for writing, and cannot be taken over: stop the program that writes it, or follow the file (audit_follow_path) into a log of another name", ErrForeignWrite, o.Path)
	}
	size, err := syncFile(fsys, o.Path)
	if err != nil {
		return 0, err
	}
	head := segment.Head{Peer: peer, Frontier: []merkle.Hash{}, AdoptedBytes: size}
	if err := segment.WriteHead(fsys, f.Head(0), head); err != nil {
		return 0, err
	}
	if err := fsys.Link(o.Path, f.Segment(0)); err != nil {
		return 0, err
	}
	return size, fsys.SyncDir(f.Dir)
}
