package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"auditmesh/audit/disk"
	"auditmesh/audit/segment"
)

// Rotation: a new segment, complete with its head and synced under its own name,
// is renamed onto the path as a second link. A foreign logrotate's rename,
// compression or removal touches that outer name only. A crash leaves the new
// segment unborn, or empty and last: then it is the one that is gone on with.

// ErrTruncated means that the active file is shorter than what was committed to
// it: another program cut it, as logrotate's copytruncate does.
var ErrTruncated = errors.New("the log's file was cut by another program")

// ErrForeignWrite means that another program writes to the log's file.
var ErrForeignWrite = errors.New("another program writes to the log's file")

// rotateRetry is how long a rotation that failed before it began is put off.
const rotateRetry = time.Minute

// active is the file that is appended to. It belongs to whoever is busy.
type active struct {
	file disk.File
	info fs.FileInfo // tells it from another file at the path
	born time.Time
	hold time.Time // no rotation before, since one failed
}

// checkActive looks, before records are acknowledged, at whether they are where
// they belong: the file has the bytes that were committed to it and no others,
// and the path still leads to it.
func (l *Log) checkActive(want int64) (displaced bool, err error) {
	info, err := l.active.file.Stat()
	if err != nil {
		return false, err
	}
	if n := info.Size(); n < want {
		return false, fmt.Errorf("%w: %s has %d bytes of %d: records that were acknowledged are gone from it; logrotate must not use copytruncate here: the copy that it made has them, put it back under %s", ErrTruncated, l.opts.Path, n, want, l.segment().Path)
	} else if n > want {
		return false, fmt.Errorf("%w: %s has %d bytes more than were written; give the other program a file of its own, and follow that", ErrForeignWrite, l.opts.Path, n-want)
	}
	at, err := l.opts.FS.Stat(l.opts.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && !l.opts.FS.SameFile(at, l.active.info), err
}

func (l *Log) segment() segment.Segment { return l.seq.Last() }

// due says whether the active segment is to be sealed.
func (l *Log) due() bool {
	s, now := l.segment(), l.opts.Now()
	if s.Bytes == 0 || now.Before(l.active.hold) {
		return false
	}
	return s.Bytes >= l.opts.SegmentBytes || l.opts.SegmentAge > 0 && now.Sub(l.active.born) >= l.opts.SegmentAge
}

// rotate seals the active segment. The caller is busy. An error means that the
// log is to be recovered; before that could be needed, rotation is put off.
func (l *Log) rotate(why string) error {
	fsys := l.opts.FS
	name, _ := l.Name()
	frontier, _ := l.seq.Head()
	head := segment.Head{Peer: l.owner, Log: name.IDString(), First: frontier.Size, Frontier: frontier.Hashes}
	if err := segment.WriteHead(fsys, l.files.Head(head.First), head); err != nil {
		l.active.hold = l.opts.Now().Add(rotateRetry)
		l.opts.Logger.Warn("the segment could not be sealed yet; it is gone on with", slog.Any("error", err))
		return nil
	}
	s, err := segment.Create(fsys, l.files, head)
	if err != nil {
		return fmt.Errorf("begin segment %s: %w", l.files.Segment(head.First), err)
	}
	if err := l.takePath(s.Path); err != nil {
		return err
	}
	old := l.active.file
	if err := l.openActive(s.Path); err != nil {
		return err
	}
	l.seq.Seal(s.Path)
	l.opts.Logger.Info("segment sealed", slog.Uint64("records", head.First), slog.String("why", why))
	l.wake()
	return old.Close()
}

// openActive opens a segment for appending.
func (l *Log) openActive(path string) error {
	f, err := l.opts.FS.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.active = active{file: f, info: info, born: l.opts.Now()}
	return nil
}

// takePath makes the path lead to a segment. What another program put there is
// kept under another name, if there is anything in it.
func (l *Log) takePath(to string) error {
	fsys := l.opts.FS
	if at, err := fsys.Stat(l.opts.Path); err == nil && at.Size() > 0 {
		ours, err := l.isOurs(at)
		if err != nil {
			return err
		}
		if !ours {
			aside := fmt.Sprintf("%s.foreign-%d", l.opts.Path, l.opts.Now().UnixMilli())
			l.opts.Logger.Warn("another program put a file at the log's path; it is kept beside it", slog.String("file", aside))
			if err := fsys.Rename(l.opts.Path, aside); err != nil {
				return err
			}
		}
	}
	if err := disk.ReplaceLink(fsys, to, l.opts.Path); err != nil {
		return err
	}
	return fsys.SyncDir(l.files.Dir)
}

// isOurs says whether a file is one of the log's segments, or an earlier state of
// one: recovery renames a copy onto a segment's name before it links the path to it,
// and the path may still lead to the file that had the name before. See also
// mendPath.
func (l *Log) isOurs(at fs.FileInfo) (bool, error) {
	fsys := l.opts.FS
	segs, err := segment.List(fsys, l.files)
	if err != nil {
		return false, err
	}
	for _, s := range segs {
		info, err := fsys.Stat(s.Path)
		if err != nil {
			return false, err
		}
		if fsys.SameFile(at, info) {
			return true, nil
		}
	}
	for _, s := range slices.Backward(segs) {
		if begins, err := disk.SamePrefix(fsys, l.opts.Path, 0, s.Path); err != nil || begins {
			return begins, err
		}
	}
	return false, nil
}

// rotateAged seals a segment that is old enough, when nobody appends.
func (l *Log) rotateAged() {
	l.mu.Lock()
	if l.busy || l.failed != nil || l.closed || !l.due() {
		l.mu.Unlock()
		return
	}
	l.busy = true
	l.mu.Unlock()
	l.handOver(l.rotate("age"))
}
