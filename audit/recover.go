package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"auditmesh/audit/disk"
	"auditmesh/audit/segment"
)

// recover reads the log from its files, mends what an unclean end may leave, and
// opens the active file for appending. Start-up and the recovery after a failed
// write are this one way. acknowledged is how many records must be there.
func (l *Log) recover(acknowledged uint64) error {
	if l.active.file != nil {
		// A descriptor whose write or sync failed is never used again.
		l.active.file.Close()
		l.active.file = nil
	}
	signed, err := readSigned(l.opts.FS, l.opts.SignedPath, l.owner)
	if err != nil {
		return err
	}
	if err := removeTemps(l.opts); err != nil {
		return err
	}
	kept, err := segment.LoadCheckpoints(l.opts.FS, l.files.Checkpoints())
	if err != nil {
		return err
	}
	if last, ok := kept.Last(); ok && last.Size > signed.Size {
		return fmt.Errorf("%w: %s states %d records, %s only %d: the state is older than the log", ErrBehind, l.files.Checkpoints(), last.Size, l.opts.SignedPath, signed.Size)
	}
	l.sealed = signed.Sealed
	if p := signed.Pending; p != nil {
		if done, err := p.installed(l.opts.FS, l.files); err != nil {
			return err
		} else if !done {
			return fmt.Errorf("%w: %w", ErrBehind, errSuccession)
		}
	}
	segs, err := l.birth(signed)
	if err != nil {
		return err
	}
	fresh, err := l.read(kept, segs, signed)
	if err != nil {
		return err
	}
	if size := fresh.Size(); size < acknowledged {
		return &segment.DamageError{File: l.opts.Path, Offset: fresh.Bytes(), Reason: fmt.Sprintf("%d records were acknowledged and %d are left", acknowledged, size)}
	}
	if copied, err := l.copyTail(fresh); err != nil {
		return err
	} else if copied {
		if segs, err = segment.List(l.opts.FS, l.files); err != nil {
			return err
		}
		fresh.WriteIndexes() // they spare the second reading the first's work
		fresh.CloseIndex()
		if fresh, err = l.read(kept, segs, signed); err != nil {
			return err
		}
	}
	fresh.WriteIndexes()
	if err := segment.FindEnds(fresh.Sequence, kept); err != nil {
		return err
	}
	return l.activate(fresh.Sequence, kept, signed)
}

// removeTemps removes what crashes left of writing the log's files and its
// last-signed state. The log's lock is held.
func removeTemps(o Options) error {
	files := segment.LayoutOf(o.Path)
	if err := disk.RemoveTemps(o.FS, files.Dir, func(name string) bool {
		return files.Owns(name) || name == filepath.Base(o.Path)
	}); err != nil {
		return err
	}
	return disk.RemoveTemps(o.FS, filepath.Dir(o.SignedPath), func(name string) bool { return name == filepath.Base(o.SignedPath) })
}

// read loads the segments and compares them with what was signed. It cuts what a
// finished recovery left in an older one, and sets a torn end aside.
func (l *Log) read(kept *segment.Checkpoints, segs []segment.Segment, signed SignedState) (*segment.Loaded, error) {
	return segment.Load(l.opts.FS, l.files, segs, kept, segment.Policy{
		Signed: signed.Size,
		Ended: func(at segment.Ended) error {
			switch {
			case at.Torn:
				return l.setAside(at)
			case at.Err == nil && at.Next != nil:
				return l.cutCopied(at)
			}
			return at.Err
		},
		Check: func(c *segment.Sequence) error {
			return errors.Join(checkSealed(c, signed), checkSigned(c, signed, l.opts.Path))
		},
	})
}

// birth makes the first segment where there is none and the log may be made: an
// empty one, or the file that stands at the path. Beside segments that file must be
// one of theirs.
func (l *Log) birth(signed SignedState) ([]segment.Segment, error) {
	fsys := l.opts.FS
	segs, err := segment.List(fsys, l.files)
	if err != nil {
		return nil, err
	}
	there, err := disk.Exists(fsys, l.opts.Path)
	if err != nil {
		return nil, err
	}
	if len(segs) > 0 {
		if there {
			return l.mendPath(segs, signed)
		}
		return segs, nil
	}
	switch {
	case signed.Size > 0:
		return nil, l.gone(signed)
	case !l.create:
		return nil, errNoLog(l.opts)
	case there:
		size, err := adoptFile(l.opts, l.files, l.owner)
		if err != nil {
			return nil, err
		}
		l.adopted = size > 0
	default:
		if err := createFirst(fsys, l.files, l.owner); err != nil {
			return nil, err
		}
	}
	return segment.List(fsys, l.files)
}

func (l *Log) gone(signed SignedState) error {
	return fmt.Errorf("%w: %d records were signed and %s has none: put the log back, or see \"A log that is gone\" in docs/formats.md", ErrBehind, signed.Size, l.files.Dir)
}

// syncFile makes durable what another hand wrote into a file, and returns its size.
func syncFile(fsys disk.FS, path string) (int64, error) {
	f, err := fsys.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// setAside puts what stands at the end of the last segment, and was never
// acknowledged, into a .torn file, and ends the segment there.
func (l *Log) setAside(at segment.Ended) error {
	fsys := l.opts.FS
	path := l.files.Torn(at.Segment.First, at.Offset)
	n, err := disk.CopyFrom(fsys, at.Segment.Path, at.Offset, path)
	if err != nil {
		return err
	}
	if err := fsys.SyncDir(l.files.Dir); err != nil {
		return err
	}
	l.opts.Logger.Warn("set an unfinished end of the log aside; it was never acknowledged",
		slog.String("file", path), slog.Int64("bytes", n), slog.Int64("offset", at.Offset), slog.String("reason", at.Err.Error()))
	return disk.Cut(fsys, at.Segment.Path, at.Offset)
}

// cutCopied ends a segment where the next begins. A crash after the copy of
// recovery was made leaves the copied lines here too; anything else is damage.
func (l *Log) cutCopied(at segment.Ended) error {
	s, next := at.Segment, at.Next
	if at.Offset == s.Bytes {
		return nil
	}
	same, err := disk.SamePrefix(l.opts.FS, s.Path, at.Offset, next.Path)
	if err != nil {
		return err
	}
	if !same {
		return &segment.DamageError{File: s.Path, Offset: at.Offset, Reason: fmt.Sprintf("the segment goes on after record %d with other lines than %s", next.First-1, next.Path)}
	}
	return disk.Cut(l.opts.FS, s.Path, at.Offset)
}

var errSuccession = errors.New("a succession was decided on and is not ended; it goes on by itself when the node starts")

// checkSealed refuses a log that was given up.
func checkSealed(c *segment.Sequence, signed SignedState) error {
	if c.Size() > 0 {
		if id := c.ID(); slices.Contains(signed.Sealed, id) {
			return fmt.Errorf("%w: log %s was given up for a successor, and is signed no more", ErrBehind, id)
		}
	}
	return nil
}

// checkSigned compares the lines with the last-signed state.
func checkSigned(c *segment.Sequence, signed SignedState, path string) error {
	if signed.Size == 0 {
		return nil
	}
	if id := c.ID(); id != signed.Log {
		return fmt.Errorf("%w: log %s stands at %s, %s was signed", ErrBehind, id, path, signed.Log)
	}
	if size := c.Size(); size < signed.Size {
		return fmt.Errorf("%w: %s has %d records, %d were signed: it was cut, or comes from a backup; put the newer file back", ErrBehind, path, size, signed.Size)
	}
	f, _, err := c.FrontierAt(signed.Size)
	if err != nil {
		return err
	}
	if root := f.Root(); root != signed.Root {
		return &segment.DamageError{File: path, Reason: fmt.Sprintf("the first %d records have the root %s, %s was signed: a line was changed", signed.Size, root, signed.Root)}
	}
	return nil
}

// copyTail copies the lines beyond the last signed checkpoint into a new
// segment, syncs it, and then cuts them from the old one: what the page cache
// showed may not be on the disk, and cannot be told from what is. The files are
// to be read anew if it says that it did so.
func (l *Log) copyTail(c *segment.Loaded) (bool, error) {
	last := c.Last()
	if c.Size() == c.Signed {
		return false, nil
	}
	fsys, floor := l.opts.FS, c.Signed
	tmp := disk.TempName(l.files.Segment(floor))
	if _, err := disk.CopyFrom(fsys, last.Path, c.SignedEnd, tmp); err != nil {
		return false, err
	}
	if floor == last.First {
		// Nothing of this segment was signed: the copy takes its place.
		if err := fsys.Rename(tmp, last.Path); err != nil {
			return false, err
		}
		return false, fsys.SyncDir(l.files.Dir)
	}
	frontier, _, err := c.FrontierAt(floor)
	if err != nil {
		return false, err
	}
	head := segment.Head{Peer: l.owner, Log: c.ID(), First: floor, Frontier: frontier.Hashes}
	if err := segment.WriteHead(fsys, l.files.Head(floor), head); err != nil {
		return false, err
	}
	if err := fsys.Rename(tmp, l.files.Segment(floor)); err != nil {
		return false, err
	}
	if err := fsys.SyncDir(l.files.Dir); err != nil {
		return false, err
	}
	return true, disk.Cut(fsys, last.Path, c.SignedEnd)
}

// activate links the path to the last segment and opens it for appending.
func (l *Log) activate(fresh *segment.Sequence, kept *segment.Checkpoints, signed SignedState) error {
	fsys := l.opts.FS
	last := fresh.Last()
	if err := l.takePath(last.Path); err != nil {
		return err
	}
	if err := l.openActive(last.Path); err != nil {
		return err
	}
	if head, err := fsys.Stat(l.files.Head(last.First)); err == nil {
		l.active.born = head.ModTime()
	}
	l.seq.Adopt(fresh)
	l.kept.Adopt(kept)
	return l.resign(signed)
}

// resign makes the checkpoint of the last-signed state once more where a crash
// came before it was kept. It is the same statement, so it has the same bytes.
func (l *Log) resign(signed SignedState) error {
	if signed.Size == l.SignedSize() {
		return nil
	}
	l.opts.Logger.Warn("the checkpoint of the last-signed state was not kept: a crash came between the two; it is made once more, the same to the byte", slog.Uint64("size", signed.Size))
	name, _ := l.Name()
	last, _ := l.kept.Last()
	frontier, pos, err := l.seq.FrontierAt(signed.Size)
	if err != nil {
		return err
	}
	bounds, err := l.bounds(last, segment.Kept{Size: signed.Size, Root: frontier.Root(), End: pos})
	if err != nil {
		return err
	}
	return l.keep(name, bounds)
}
