package segment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"auditmesh/audit/merkle"
)

// IndexCheck compares the indexes of a log with the lines while a loader reads
// them. A nil IndexCheck looks at nothing. It is used for one Load.
type IndexCheck struct {
	// InUse says whether a process has the log open now or had it when the segments
	// were listed, or left it without closing it: the index of the last segment may
	// lack what was written last, since nobody waits for an index, and has what was
	// appended since. Nil: nobody has it.
	InUse func() bool
	// Findings are what is wrong, an *IndexError a file.
	Findings []error

	index *indexReader // of the segment that is read
	path  string
	last  bool // the last segment is read
	bad   bool // something was found in this index: no more is said of it
}

// opened begins with a segment.
func (c *IndexCheck) opened(s *Sequence, seg Segment, last bool) {
	if c == nil {
		return
	}
	c.bad, c.last, c.path = false, last, s.files.Index(seg.First)
	var err error
	if c.index, err = openIndex(s.fsys, c.path, seg.First); err != nil {
		c.found(err)
	}
}

func (c *IndexCheck) found(err error) {
	if c.bad {
		return
	}
	c.bad = true
	var damaged *IndexError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = &IndexError{c.path, 0, "it is gone"}
	case !errors.As(err, &damaged):
		err = &IndexError{c.path, 0, err.Error()}
	}
	c.Findings = append(c.Findings, err)
}

// compare compares an entry made of the lines with that of the index. last is of
// the block in which the log ends.
func (c *IndexCheck) compare(e *blockEntry, last bool) {
	if c == nil || c.index == nil || c.bad || last && c.growing() {
		return
	}
	at := c.index.at
	have, err := c.index.next()
	if errors.Is(err, io.EOF) && c.growing() {
		c.bad = true // lines are written first, and the index is not waited for
		return
	}
	if errors.Is(err, io.EOF) {
		err = &IndexError{c.path, at, fmt.Sprintf("it ends at record %d", e.seq)}
	} else if err == nil && string(have.encode(nil)) != string(e.encode(nil)) {
		err = &IndexError{c.path, at, fmt.Sprintf("its entry of record %d does not fit the lines", e.seq)}
	}
	if err != nil {
		c.found(err)
	}
}

// growing says whether the segment that is read, and its index with it, may have
// grown since the segments were listed.
func (c *IndexCheck) growing() bool { return c.last && c.InUse != nil && c.InUse() }

// closed ends with a segment. Of one that was read whole it looks for entries
// beyond the lines.
func (c *IndexCheck) closed(whole bool) {
	if c == nil || c.index == nil {
		return
	}
	if whole && !c.bad && !c.growing() {
		at := c.index.at
		if _, err := c.index.next(); !errors.Is(err, io.EOF) {
			if err == nil {
				err = &IndexError{c.path, at, "it goes on after the last line"}
			}
			c.found(err)
		}
	}
	c.index.close()
	c.index = nil
}

// Blame names the line that was changed among the records before the root error's
// size: the first whose hash is not the one that the index remembers. It returns
// the error as it is where no index tells.
func (e *RootError) Blame(c *Sequence) error {
	r := NewReader(c, max(e.From, c.First()))
	defer r.Close()
	var ix *indexReader
	defer func() { ix.close() }()
	var block *blockEntry
	for open := ""; r.Seq() < min(e.Size, c.Size()); {
		rec, err := r.Next()
		if err != nil {
			return errors.Join(e, err)
		}
		if r.seg.Path != open {
			open, block = r.seg.Path, nil
			ix.close()
			if ix, err = openIndex(c.fsys, c.files.Index(r.seg.First), r.seg.First); err != nil {
				return e
			}
		}
		for block == nil || rec.Seq >= block.seq+uint64(len(block.prints)) {
			if block, err = ix.next(); err != nil {
				return e
			}
		}
		if h := merkle.LeafHash(rec.Line); rec.Seq >= block.seq && uint16(h[0])<<8|uint16(h[1]) != block.prints[rec.Seq-block.seq] {
			return &DamageError{
				File: r.seg.Path, Offset: r.sc.offset - int64(len(rec.Line)) - 1,
				Reason: fmt.Sprintf("line %d, record %d, was changed after it was signed", rec.Seq-r.seg.First+1, rec.Seq),
			}
		}
	}
	return e
}
