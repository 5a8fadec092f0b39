package audit

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"log/slog"

	"auditmesh/audit/disk"
	"auditmesh/audit/segment"
)

// A directory that was copied (cp -r, rsync without -H, a restore file by file) has
// two files where there were two links to one: the path, and the last segment. They
// may be of different moments, if the node wrote while they were copied. Opening
// joins them again. Which of the two has what the other lacks, their bytes say, and
// where they do not, what was signed. A file whose place in the log cannot be shown
// is refused, and nothing is changed: an operator knows what it is.

// errNoPlace means that nothing shows where in the log a file's lines belong.
var errNoPlace = errors.New("its lines are not those of this log")

// mendPath makes the path and the last segment one file again where they are two,
// and returns the segments that are there afterwards.
func (l *Log) mendPath(segs []segment.Segment, signed SignedState) ([]segment.Segment, error) {
	fsys, path := l.opts.FS, l.opts.Path
	at, err := fsys.Stat(path)
	if err != nil || at.Size() == 0 { // empty, as logrotate makes it: replaced
		return segs, err
	}
	for _, s := range segs {
		if info, err := fsys.Stat(s.Path); err != nil {
			return nil, err
		} else if fsys.SameFile(at, info) {
			return segs, nil
		}
	}
	for _, s := range slices.Backward(segs) {
		if behind, err := disk.SamePrefix(fsys, path, 0, s.Path); err != nil {
			return nil, err
		} else if behind { // takePath replaces it
			l.opts.Logger.Warn("the log's path led to a copy of a segment, as it does in a directory that was copied; the segment has all that the copy has, and the path is a link to the last segment again",
				slog.String("path", path), slog.Int64("bytes", at.Size()), slog.String("segment", s.Path), slog.Int64("segment bytes", s.Bytes))
			return segs, syncAll(fsys, segs)
		}
	}
	last, err := l.placeOfPath(segs, at.Size(), signed)
	if errors.Is(err, errNoPlace) {
		return nil, &segment.DamageError{File: path, Reason: fmt.Sprintf("this file and the log's last segment, %s, were one file, and now differ: one of the two was replaced or changed (%v). `auditmesh verify` says whether the segment is as it was signed. If it is, move this file away; if it is not, keep both: this file may have the lines that were signed", segs[len(segs)-1].Path, err)}
	}
	if err != nil {
		return nil, err
	}
	l.opts.Logger.Warn("the log's path led to a file with records that the segments lack, as it does in a directory that was copied while the log was written; it is the last segment now",
		slog.String("path", path), slog.Int64("bytes", at.Size()), slog.String("segment", last))
	if segs, err = segment.List(fsys, l.files); err != nil {
		return nil, err
	}
	return segs, syncAll(fsys, segs)
}

// placeOfPath finds out of which segment the file at the path is a later state, makes
// it that, and returns the segment's name. errNoPlace: of none.
func (l *Log) placeOfPath(segs []segment.Segment, size int64, signed SignedState) (string, error) {
	fsys, path := l.opts.FS, l.opts.Path
	last := segs[len(segs)-1]
	if begins, err := disk.SamePrefix(fsys, last.Path, 0, path); err != nil {
		return "", err
	} else if begins {
		// All begin with an empty one: then the bytes show nothing.
		with := append(slices.Clone(segs[:len(segs)-1]), segment.Segment{First: last.First, Path: path, Bytes: size})
		if err := l.fits(with, signed, last.Bytes == 0); err != nil {
			return "", err
		}
		if _, err := syncFile(fsys, path); err != nil {
			return "", err
		}
		return last.Path, errors.Join(disk.ReplaceLink(fsys, path, last.Path), fsys.SyncDir(l.files.Dir))
	}
	// The segment that follows the last was made while the directory was copied.
	whole, err := segment.Load(fsys, l.files, segs, segment.NewCheckpoints(fsys, l.files.Checkpoints()), segment.Policy{ReadOnly: true})
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoPlace, err)
	}
	end, _ := whole.Head()
	if end.Size == last.First {
		return "", errNoPlace
	}
	// Its head says nothing but what the lines before say: it may stay, whatever the file is.
	head := segment.Head{Peer: l.owner, Log: whole.ID(), First: end.Size, Frontier: end.Hashes}
	if err := segment.WriteHead(fsys, l.files.Head(end.Size), head); err != nil {
		return "", err
	}
	next := segment.Segment{First: end.Size, Path: path, Bytes: size}
	if err := l.fits(append(slices.Clone(segs), next), signed, true); err != nil {
		return "", errors.Join(err, fsys.Remove(l.files.Head(end.Size)))
	}
	if _, err := syncFile(fsys, path); err != nil {
		return "", err
	}
	return l.files.Segment(end.Size), errors.Join(fsys.Link(path, l.files.Segment(end.Size)), fsys.SyncDir(l.files.Dir))
}

// fits says whether the log is what was signed with these segments, the last of
// which is the file at the path (errNoPlace), changing nothing. proved wants that
// something in that file was signed. A log that is still behind what was signed fits:
// it is the longer one, and refused later for what it is.
func (l *Log) fits(segs []segment.Segment, signed SignedState, proved bool) error {
	kept, err := segment.LoadCheckpoints(l.opts.FS, l.files.Checkpoints())
	if err != nil {
		return err
	}
	if last, _ := kept.Last(); proved && max(signed.Size, last.Size) <= segs[len(segs)-1].First {
		return fmt.Errorf("%w, as far as anything was signed", errNoPlace)
	}
	_, err = segment.Load(l.opts.FS, l.files, segs, kept, segment.Policy{
		Signed:   signed.Size,
		ReadOnly: true,
		Ended: func(at segment.Ended) error {
			if at.Torn {
				return nil
			}
			return at.Err
		},
		Check: func(c *segment.Sequence) error { return checkSigned(c, signed, l.opts.Path) },
	})
	if err != nil && (proved || !errors.Is(err, ErrBehind)) {
		return fmt.Errorf("%w: %w", errNoPlace, err)
	}
	return nil
}

// syncAll makes durable what another hand copied: cp syncs nothing.
func syncAll(fsys disk.FS, segs []segment.Segment) error {
	for _, s := range segs {
		if _, err := syncFile(fsys, s.Path); err != nil {
			return err
		}
	}
	return fsys.SyncDir(filepath.Dir(segs[0].Path))
}
