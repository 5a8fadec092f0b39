package audit

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
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
func (h *held) Retirable(keep Retention, now time.Time) (uint64, error) {
	segs := h.chain.segments()
	if len(segs) == 0 {
		return 0, nil
	}
	var total int64
	for _, s := range segs {
		total += s.bytes
	}
	n, signed := 0, h.SignedSize()
	for n < len(segs)-1 && segs[n+1].first <= signed {
		old := false
		if keep.Age > 0 {
			info, err := h.chain.fsys.Stat(segs[n].path)
			if err != nil {
				return 0, err
			}
			old = now.Sub(info.ModTime()) > keep.Age
		}
		if !old && (keep.Segments == 0 || len(segs)-n <= keep.Segments) && (keep.Bytes == 0 || total <= keep.Bytes) {
			break
		}
		total -= segs[n].bytes
		n++
	}
	return segs[n].first, nil
}

// Retire removes the segments whose records are all before the record at first.
// What the tree needs of them is in the head of the first that stays. A crash
// leaves some of them removed; then Retire is called again.
func (l *Log) Retire(first uint64) error {
	l.signMu.Lock()
	defer l.signMu.Unlock()
	return l.retire(first)
}

// Retire removes the segments whose records are all before the record at first,
// as that of a Log does.
func (c *Copy) Retire(first uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retire(first)
}

func (h *held) retire(before uint64) error {
	segs := h.chain.segments()
	n := 0
	for n < len(segs)-1 && segs[n+1].first <= min(before, h.SignedSize()) {
		n++
	}
	if n == 0 {
		return nil
	}
	fsys, first := h.chain.fsys, segs[n].first
	head, err := readHead(fsys, h.chain.files.head(first))
	if err != nil {
		return err
	}
	if err := h.kept.retire(first); err != nil {
		return err
	}
	h.chain.retire(n, Frontier{head.First, head.Frontier})
	for _, s := range segs[:n] {
		if err := fsys.Remove(s.path); err != nil {
			return fmt.Errorf("remove a segment that retention does not keep: %w", err)
		}
	}
	return h.chain.tidy(first)
}

// tidy removes what stood beside segments that are gone.
func (c *chain) tidy(first uint64) error {
	entries, err := c.fsys.ReadDir(c.files.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, c.files.name+"-") || !strings.HasSuffix(name, ".segment") && !strings.Contains(name, ".index") {
			continue
		}
		if filepath.Join(c.files.dir, name) < c.files.path(first, "") {
			if err := c.fsys.Remove(filepath.Join(c.files.dir, name)); err != nil {
				return err
			}
		}
	}
	return c.fsys.SyncDir(c.files.dir)
}
