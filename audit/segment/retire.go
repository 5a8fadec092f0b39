package segment

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

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

func (h *Store) Retire(before uint64) error {
	segs := h.seq.Segments()
	n := 0
	for n < len(segs)-1 && segs[n+1].First <= min(before, h.SignedSize()) {
		n++
	}
	if n == 0 {
		return nil
	}
	fsys, first := h.seq.fsys, segs[n].First
	head, err := ReadHead(fsys, h.seq.files.Head(first))
	if err != nil {
		return err
	}
	if err := h.kept.retire(first); err != nil {
		return err
	}
	h.seq.retire(n, merkle.Frontier{Size: head.First, Hashes: head.Frontier})
	for _, s := range segs[:n] {
		if err := fsys.Remove(s.Path); err != nil {
			return fmt.Errorf("remove a segment that retention does not keep: %w", err)
		}
	}
	return h.seq.tidy(first)
}

// tidy removes what stood beside segments that are gone.
func (c *Sequence) tidy(first uint64) error {
	entries, err := c.fsys.ReadDir(c.files.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, c.files.Name+"-") || !strings.HasSuffix(name, ".segment") && !strings.Contains(name, ".index") {
			continue
		}
		if filepath.Join(c.files.Dir, name) < c.files.path(first, "") {
			if err := c.fsys.Remove(filepath.Join(c.files.Dir, name)); err != nil {
				return err
			}
		}
	}
	return c.fsys.SyncDir(c.files.Dir)
}
