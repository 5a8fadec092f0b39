package segment

// pendingIndex is what a segment's index lacks, written once the roots agreed.
type pendingIndex struct {
	first uint64
	good  int    // entries that the file has
	more  []byte // entries
	// An index that is made from the beginning goes to a file of another name
	// meanwhile: the old one may be what tells which line was changed.
	spill *indexWriter
	spilt int // entries
}

const spillBytes = 128 << 10

func (p *pendingIndex) add(c *Sequence, e *blockEntry) {
	p.more = e.encode(p.more)
	if p.good > 0 || len(p.more) < spillBytes {
		return
	}
	if p.spill == nil {
		p.spill = newIndexWriter(c.fsys, c.files.Index(p.first)+spillSuffix, p.first, 0)
	}
	p.spill.write(p.more)
	p.spilt += len(p.more) / indexEntry
	p.more = p.more[:0]
}

const spillSuffix = ".new"

// install gives the spilt entries their name.
func (p *pendingIndex) install(c *Sequence) {
	if p.spill == nil {
		return
	}
	p.spill.close()
	if p.spill.err == nil && c.fsys.Rename(p.spill.path, c.files.Index(p.first)) == nil {
		p.good, p.spilt = p.spilt, 0
	}
	p.spill = nil
}

// abandonIndexes forgets indexes that are not to be written.
func (l *loader) abandonIndexes() {
	for i := range l.out.indexes {
		if w := l.out.indexes[i].spill; w != nil {
			w.close()
			l.out.fsys.Remove(w.path) //nolint:errcheck // derived, and overwritten when it is next made
		}
	}
	l.out.indexes = nil
}

// WriteIndexes writes what the indexes lack, and leaves that of the last segment
// open for what is appended. A failure is the index's own: see indexWriter.
func (l *Loaded) WriteIndexes() {
	c := l.Sequence
	for i := range l.indexes {
		p := &l.indexes[i]
		p.install(c)
		last := i == len(l.indexes)-1
		if p.spilt > 0 {
			continue // an index that could not be written: none is made
		}
		if !last && p.good > 0 && len(p.more) == 0 {
			continue
		}
		w := newIndexWriter(c.fsys, c.files.Index(p.first), p.first, p.good)
		w.write(p.more)
		if last {
			c.index = w
		} else {
			w.close()
		}
	}
}
