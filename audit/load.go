package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sort"

	"auditmesh/internal/durable"
)

// loader reads the segments of a log, in order, into an empty chain, and
// compares the root at the sizes of the kept checkpoints. It runs before the
// chain is shared. With useIndex the blocks that the index has, up to the last
// checkpoint, are taken from there: the root at that checkpoint tells whether
// they are right. Else every line is read, and an index is made.
type loader struct {
	chain    *chain
	kept     *anchors
	next     int // index of the next anchor to compare
	useIndex bool
	decode   bool // count the lines that do not decode

	// Beyond these a mark of a power cut ends the log; before, it is damage.
	floor      uint64 // records: the last signed size
	floorBytes int64  // bytes of the first segment: what was adopted

	floorOffset int64 // out: where the record at floor begins in its segment
	unreadable  uint64
	fromIndex   uint64 // out: how many records' lines were not read
	indexes     []pendingIndex
	onBytes     func(n int64)  // if not nil: so much was read
	onEntry     func(e *entry) // if not nil: gets the entries in place of indexes
	onPart      func(e *entry) // if not nil: gets that of the block in which the log ends
}

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

func (p *pendingIndex) add(c *chain, e *entry) {
	p.more = e.encode(p.more)
	if p.good > 0 || len(p.more) < spillBytes {
		return
	}
	if p.spill == nil {
		p.spill = newIndexWriter(c.fsys, c.files.index(p.first)+spillSuffix, p.first, 0)
	}
	p.spill.write(p.more)
	p.spilt += len(p.more) / indexEntry
	p.more = p.more[:0]
}

const spillSuffix = ".new"

// install gives the spilt entries their name.
func (p *pendingIndex) install(c *chain) {
	if p.spill == nil {
		return
	}
	p.spill.close()
	if p.spill.err == nil && c.fsys.Rename(p.spill.path, c.files.index(p.first)) == nil {
		p.good, p.spilt = p.spilt, 0
	}
	p.spill = nil
}

// readChain reads a log with its indexes, and where that does not lead to what
// was signed once more from the lines alone. read loads the segments.
func readChain(c *chain, kept *anchors, floor uint64, read func(*loader) error) (*loader, error) {
	ld := &loader{chain: c, kept: kept, floor: floor, useIndex: true}
	err := read(ld)
	if err != nil && ld.fromIndex == 0 {
		ld.abandon()
	}
	if err == nil || ld.fromIndex == 0 {
		return ld, err
	}
	ld.abandon()
	c.segs, c.tree, c.bytes, c.id, c.open, c.sum = nil, tree{}, 0, Hash{}, entry{}, compactRange{}
	for i := range kept.list {
		kept.list[i].pos = unknownPos
	}
	ld = &loader{chain: c, kept: kept, floor: floor}
	if err = read(ld); err != nil {
		ld.abandon()
	}
	return ld, err
}

// abandon forgets indexes that are not to be written.
func (l *loader) abandon() {
	for i := range l.indexes {
		if w := l.indexes[i].spill; w != nil {
			w.close()
			l.chain.fsys.Remove(w.path) //nolint:errcheck // derived, and overwritten when it is next made
		}
	}
	l.indexes = nil
}

// head reads a segment's head, and compares it with the lines before it. The
// first segment's says where the log begins to be held.
func (l *loader) head(s segment, first bool) error {
	path := l.chain.files.head(s.first)
	head, err := readHead(l.chain.fsys, path)
	if err != nil {
		return fmt.Errorf("segment %s: %w", s.path, err)
	}
	f := Frontier{head.First, head.Frontier}
	if head.First != s.first || f.Check() != nil {
		return &DamageError{File: path, Reason: fmt.Sprintf("is the head of a segment at record %d", head.First)}
	}
	if !first {
		if !f.Equal(l.chain.tree.frontier()) || head.Log != (LogName{ID: l.chain.id}).IDString() {
			return &DamageError{File: path, Reason: "the segment's head does not fit the lines before it"}
		}
		return nil
	}
	l.floorBytes = head.AdoptedBytes
	if head.First == 0 {
		return nil
	}
	l.chain.tree = newTree(f)
	if l.chain.id, err = ParseLogID(head.Log); err != nil {
		return &DamageError{File: path, Reason: err.Error()}
	}
	l.next = sort.Search(len(l.kept.list), func(i int) bool { return l.kept.list[i].size >= head.First })
	return l.compare(s, 0)
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
	l.indexes = append(l.indexes, pendingIndex{first: s.first})
	if l.useIndex {
		// The part of a block in which a segment begins is read: its lines lead on
		// from the frontier in the segment's head.
		limit := min(until, l.floor)
		if whole := (s.first + blockSize - 1) / blockSize * blockSize; whole > s.first && whole <= limit {
			if end, err := l.scan(f, s, whole); err != nil {
				return end, err
			}
		}
		if err := l.skip(s, limit); err != nil {
			return 0, err
		}
	}
	if s.first == 0 && c.tree.size() > 0 && c.id == (Hash{}) {
		line, err := newLineScanner(io.NewSectionReader(f, 0, math.MaxInt64), 0).next()
		if err != nil {
			return 0, err
		}
		c.id = LeafHash(line[:len(line)-1])
	}
	end, err = l.scan(f, s, until)
	if l.floorBytes > 0 && s.first == 0 && end <= l.floorBytes {
		l.floor = max(l.floor, c.tree.size()) // all of it was adopted
	}
	if c.tree.size() == l.floor {
		l.floorOffset = end
	}
	if err == nil && c.partLocked() {
		switch {
		case until != noLimit:
			l.finished(c.finishLocked())
		case l.onPart != nil:
			l.onPart(c.finishLocked())
		}
	}
	return end, err
}

func (l *loader) finished(e *entry) {
	if l.onEntry != nil {
		l.onEntry(e)
		return
	}
	l.pending().add(l.chain, e)
}

// noLimit is the limit of a last segment, which ends where its lines do.
const noLimit = math.MaxUint64

func (l *loader) pending() *pendingIndex { return &l.indexes[len(l.indexes)-1] }

// scan reads the lines of the last segment from where it is known.
func (l *loader) scan(f durable.File, s segment, until uint64) (end int64, err error) {
	c := l.chain
	from := c.segs[len(c.segs)-1].bytes
	sc := scan{
		first: c.tree.size(), offset: from, until: until,
		cuts: l.cuts(), zeros: l.floor, decode: l.decode,
	}
	if s.first == 0 {
		sc.cutByte = l.floorBytes // only a first segment can be adopted
	}
	return sc.run(io.NewSectionReader(f, from, math.MaxInt64-from), func(p piece) error {
		if s.first == 0 && l.floorBytes > 0 && p.offset >= l.floorBytes {
			l.floor = max(l.floor, p.first)
			l.floorBytes = 0
		}
		if p.first == l.floor {
			l.floorOffset = p.offset
		}
		if done := c.addLocked(p); done != nil {
			l.finished(done)
		}
		l.unreadable += uint64(p.unreadable)
		if l.onBytes != nil {
			l.onBytes(p.bytes)
		}
		return l.compare(s, p.offset+p.bytes)
	})
}

// skip takes in the whole blocks before limit that the segment's index has. What
// is wrong with the file ends that early, no more.
func (l *loader) skip(s segment, limit uint64) error {
	c := l.chain
	if err := l.skipBlocks(s, limit); err != nil {
		return err
	}
	list := l.kept.list
	l.next = sort.Search(len(list), func(i int) bool { return list[i].size >= c.tree.size() })
	return l.compare(s, c.segs[len(c.segs)-1].bytes)
}

func (l *loader) skipBlocks(s segment, limit uint64) error {
	c := l.chain
	r, err := openIndex(c.fsys, c.files.index(s.first), s.first)
	for ; err == nil; l.pending().good++ {
		var e *entry
		if e, err = r.next(); err != nil {
			break
		}
		end := e.seq + uint64(len(e.prints))
		if end > limit || e.offset+e.bytes > s.bytes {
			break
		}
		if end <= c.tree.size() {
			l.pending().more = nil // the part of a block that was read
			continue
		}
		if !e.whole() || e.seq != c.tree.size() || e.offset != c.segs[len(c.segs)-1].bytes {
			break
		}
		c.skipLocked(e)
		l.fromIndex += blockSize
	}
	r.close()
	var damaged *IndexError
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) || errors.As(err, &damaged) {
		return nil
	}
	return err
}

// cuts are the sizes at which the frontier is needed.
func (l *loader) cuts() []uint64 {
	var list []uint64
	for _, a := range l.kept.list[l.next:] {
		list = append(list, a.size)
	}
	if n := len(list); n == 0 || list[n-1] < l.floor {
		list = append(list, l.floor)
	}
	return list
}

func (l *loader) compare(s segment, offset int64) error {
	list := l.kept.list
	if l.next == len(list) || l.chain.tree.size() < list[l.next].size {
		return nil
	}
	a := &list[l.next]
	l.next++
	if root := l.chain.tree.frontier().Root(); root != a.root {
		return newRootError(s.path, offset, before(list, l.next-1), a.size)
	}
	a.pos = l.chain.bytes
	return nil
}

// rootError says that the lines do not lead to a signed root.
type rootError struct {
	DamageError
	from uint64 // the root of so many records still agreed
	size uint64
}

func newRootError(file string, offset int64, from, size uint64) *rootError {
	return &rootError{DamageError{file, offset, fmt.Sprintf("the lines up to here give another Merkle root than the signed one of %d records: one of the records %d to %d was changed", size, from, size-1)}, from, size}
}

func (e *rootError) Unwrap() error { return &e.DamageError }

// complete says whether every anchor was reached.
func (l *loader) complete() error {
	if l.next == len(l.kept.list) {
		return nil
	}
	a := l.kept.list[len(l.kept.list)-1]
	s := l.chain.segs[len(l.chain.segs)-1]
	return &DamageError{File: s.path, Offset: s.bytes, Reason: fmt.Sprintf("the log ends after %d records, a checkpoint kept with it states %d", l.chain.tree.size(), a.size)}
}

// writeIndexes writes what the indexes lack, and leaves that of the last segment
// open for what is appended. A failure is the index's own: see indexWriter.
func (l *loader) writeIndexes() {
	c := l.chain
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
		w := newIndexWriter(c.fsys, c.files.index(p.first), p.first, p.good)
		w.write(p.more)
		if last {
			c.index = w
		} else {
			w.close()
		}
	}
}
