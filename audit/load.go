package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// loader reads the segments of a log, in order, into an empty chain, and
// compares the root at each anchor's size. It runs before the chain is shared.
type loader struct {
	chain *chain
	kept  *anchors
	next  int // index of the next anchor to compare

	// Beyond these a mark of a power cut ends the log; before, it is damage.
	floor      uint64 // records: the last signed size
	floorBytes int64  // bytes of the first segment: what was adopted

	floorOffset int64 // out: where the record at floor begins in its segment
}

var errZeros = errors.New("a run of zeros, as a power cut leaves it")

// load reads a segment up to the record until, or to its end. It returns the
// offset where reading ended; with errUnfinished, errZeros or errLineTooLong
// the offset is that of the line at fault.
func (l *loader) load(s segment, until uint64) (end int64, err error) {
	c := l.chain
	if s.first != c.tree.size() {
		return 0, &DamageError{File: s.path, Reason: fmt.Sprintf("the segment begins at record %d, the lines before it end at %d", s.first, c.tree.size())}
	}
	f, err := c.fsys.OpenFile(s.path, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	c.segs = append(c.segs, segment{first: s.first, path: s.path, gen: c.gen})
	sc := newLineScanner(f, 0)
	for {
		at := sc.offset
		if c.tree.size() == l.floor {
			l.floorOffset = at
		}
		if c.tree.size() == until {
			return at, nil
		}
		line, err := sc.next()
		if errors.Is(err, io.EOF) {
			return at, nil
		}
		if err != nil {
			return at, err
		}
		adopted := s.first == 0 && at < l.floorBytes
		if adopted {
			l.floor = max(l.floor, c.tree.size()+1)
		} else if c.tree.size() >= l.floor && hasZeroRun(line) {
			return at, errZeros
		}
		c.appendLocked(LeafHash(line[:len(line)-1]), len(line))
		if err := l.compare(s, at); err != nil {
			return at, err
		}
	}
}

func (l *loader) compare(s segment, offset int64) error {
	list := l.kept.list
	if l.next == len(list) || l.chain.tree.size() < list[l.next].size {
		return nil
	}
	a := &list[l.next]
	l.next++
	if root := l.chain.tree.frontier().Root(); root != a.root {
		from := before(list, l.next-1)
		return &DamageError{File: s.path, Offset: offset, Reason: fmt.Sprintf("the lines up to here give another Merkle root than the signed one of %d records: one of the records %d to %d was changed", a.size, from, a.size-1)}
	}
	a.pos = l.chain.bytes
	return nil
}

// complete says whether every anchor was reached.
func (l *loader) complete() error {
	if l.next == len(l.kept.list) {
		return nil
	}
	a := l.kept.list[len(l.kept.list)-1]
	s := l.chain.segs[len(l.chain.segs)-1]
	return &DamageError{File: s.path, Offset: s.bytes, Reason: fmt.Sprintf("the log ends after %d records, a checkpoint kept with it states %d", l.chain.tree.size(), a.size)}
}
