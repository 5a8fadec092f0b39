package segment

import (
	"fmt"
	"path/filepath"
	"time"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
)

// Retention says how much of a log is kept; segments beyond any of the limits
// are removed, oldest first. Zero fields limit nothing.
type Retention struct {
	Segments int // the active one included
	Bytes    int64
	Age      time.Duration // since the segment's last record was written
}

// Retirable is the record at which the log would begin if retention were applied
// now: First, if it keeps all. The last segment always stays, and so does what
// is not signed. Whoever shows the log's records takes those before out of sight,
// and then calls Retire.
func (h *Store) Retirable(keep Retention, now time.Time) (uint64, error) {
	segs := h.seq.Segments()
	if len(segs) == 0 {
		return 0, nil
	}
	var total int64
	for _, s := range segs {
		total += s.Bytes
	}
	n, signed := 0, h.SignedSize()
	for n < len(segs)-1 && segs[n+1].First <= signed {
		old := false
		if keep.Age > 0 {
			info, err := h.seq.fsys.Stat(segs[n].Path)
			if err != nil {
				return 0, err
			}
			old = now.Sub(info.ModTime()) > keep.Age
		}
		if !old && (keep.Segments == 0 || len(segs)-n <= keep.Segments) && (keep.Bytes == 0 || total <= keep.Bytes) {
			break
		}
		total -= segs[n].Bytes
		n++
	}
	return segs[n].First, nil
}

// Retire removes the segments whose records are all before the record at before,
// as far as they are signed.
//
// The oldest goes first, and each is gone from the disk before the next is touched.
// So whatever a crash leaves is a whole log that begins at one of its segments;
// which one, the files that are there say. What is left over is removed by the next
// call that finds something to remove, in this process or a later one.
func (h *Store) Retire(before uint64) error {
	segs := h.seq.Segments()
	n := 0
	for n < len(segs)-1 && segs[n+1].First <= min(before, h.SignedSize()) {
		n++
	}
	if n == 0 && !h.unfinished {
		return nil
	}
	first := segs[n].First
	head, err := ReadHead(h.seq.fsys, h.seq.files.Head(first))
	if err != nil {
		return err
	}
	h.seq.retire(n, merkle.Frontier{Size: head.First, Hashes: head.Frontier})
	h.unfinished = true
	if err := removeBefore(h.seq.fsys, h.seq.files, first); err != nil {
		return fmt.Errorf("remove what retention does not keep: %w", err)
	}
	// The checkpoints last: as long as older lines may be there, they are served
	// with them.
	if err := h.kept.retire(first); err != nil {
		return err
	}
	h.unfinished = false
	return nil
}

// removeBefore removes the segments before the one at first, and then what stood
// beside them. What was set aside of them as torn stays: it is nowhere else.
func removeBefore(fsys disk.FS, f Layout, first uint64) error {
	segs, err := List(fsys, f)
	if err != nil {
		return err
	}
	for _, s := range segs {
		if s.First >= first {
			break
		}
		if err := fsys.Remove(s.Path); err != nil {
			return err
		}
		if err := fsys.SyncDir(f.Dir); err != nil {
			return err
		}
	}
	entries, err := fsys.ReadDir(f.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		file, ok := f.Parse(e.Name())
		if !ok || file.First >= first {
			continue
		}
		switch file.Kind {
		case KindHead, KindIndex, KindNewIndex:
			if err := fsys.Remove(filepath.Join(f.Dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return fsys.SyncDir(f.Dir)
}
