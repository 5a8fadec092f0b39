package segment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sort"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
)

// Loader reads the segments of a log, in order, into an empty chain, and
// compares the root at the sizes of the kept checkpoints. It runs before the
// chain is shared. With useIndex the blocks that the index has, up to the last
// checkpoint, are taken from there: the root at that checkpoint tells whether
// they are right. Else every line is read, and an index is made.
type Loader struct {
	Chain    *Sequence
	Kept     *Checkpoints
	Next     int // index of the next anchor to compare
	useIndex bool
	Decode   bool // count the lines that do not decode

	// Beyond these a mark of a power cut ends the log; before, it is damage.
	Floor      uint64 // records: the last signed size
	floorBytes int64  // bytes of the first segment: what was adopted

	FloorOffset int64 // out: where the record at floor begins in its segment
	Unreadable  uint64
	fromIndex   uint64 // out: how many records' lines were not read
	indexes     []pendingIndex
	OnBytes     func(n int64)       // if not nil: so much was read
	OnEntry     func(e *BlockEntry) // if not nil: gets the entries in place of indexes
	OnPart      func(e *BlockEntry) // if not nil: gets that of the block in which the log ends
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

func (p *pendingIndex) add(c *Sequence, e *BlockEntry) {
	p.more = e.Encode(p.more)
	if p.good > 0 || len(p.more) < spillBytes {
		return
	}
	if p.spill == nil {
		p.spill = newIndexWriter(c.Fsys, c.Files.Index(p.first)+spillSuffix, p.first, 0)
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
	if p.spill.err == nil && c.Fsys.Rename(p.spill.path, c.Files.Index(p.first)) == nil {
		p.good, p.spilt = p.spilt, 0
	}
	p.spill = nil
}

// Read reads a log with its indexes, and where that does not lead to what
// was signed once more from the lines alone. read loads the segments.
func Read(c *Sequence, kept *Checkpoints, floor uint64, read func(*Loader) error) (*Loader, error) {
	ld := &Loader{Chain: c, Kept: kept, Floor: floor, useIndex: true}
	err := read(ld)
	if err != nil && ld.fromIndex == 0 {
		ld.abandon()
	}
	if err == nil || ld.fromIndex == 0 {
		return ld, err
	}
	ld.abandon()
	c.segs, c.tree, c.bytes, c.id, c.open, c.sum = nil, merkle.Tree{}, 0, merkle.Hash{}, BlockEntry{}, merkle.Range{}
	for i := range kept.List {
		kept.List[i].End = unknownPos
	}
	ld = &Loader{Chain: c, Kept: kept, Floor: floor}
	if err = read(ld); err != nil {
		ld.abandon()
	}
	return ld, err
}

// abandon forgets indexes that are not to be written.
func (l *Loader) abandon() {
	for i := range l.indexes {
		if w := l.indexes[i].spill; w != nil {
			w.close()
			l.Chain.Fsys.Remove(w.path) //nolint:errcheck // derived, and overwritten when it is next made
		}
	}
	l.indexes = nil
}

// Head reads a segment's head, and compares it with the lines before it. The
// first segment's says where the log begins to be held.
func (l *Loader) Head(s Segment, first bool) error {
	path := l.Chain.Files.Head(s.First)
	head, err := ReadHead(l.Chain.Fsys, path)
	if err != nil {
		return fmt.Errorf("segment %s: %w", s.Path, err)
	}
	f := merkle.Frontier{Size: head.First, Hashes: head.Frontier}
	if head.First != s.First || f.Check() != nil {
		return &DamageError{File: path, Reason: fmt.Sprintf("is the head of a segment at record %d", head.First)}
	}
	if !first {
		if !f.Equal(l.Chain.tree.Frontier()) || head.Log != (merkle.LogName{ID: l.Chain.id}).IDString() {
			return &DamageError{File: path, Reason: "the segment's head does not fit the lines before it"}
		}
		return nil
	}
	l.floorBytes = head.AdoptedBytes
	if head.First == 0 {
		return nil
	}
	l.Chain.tree = merkle.NewTree(f)
	if l.Chain.id, err = merkle.ParseLogID(head.Log); err != nil {
		return &DamageError{File: path, Reason: err.Error()}
	}
	l.Next = sort.Search(len(l.Kept.List), func(i int) bool { return l.Kept.List[i].Size >= head.First })
	return l.compare(s, 0)
}

var ErrZeros = errors.New("a run of zeros, as a power cut leaves it")

// Load reads a segment up to the record until, or to its end. It returns the
// offset where reading ended; with errUnfinished, errZeros or errLineTooLong
// the offset is that of the line at fault.
func (l *Loader) Load(s Segment, until uint64) (end int64, err error) {
	c := l.Chain
	if s.First != c.tree.Size() {
		return 0, &DamageError{File: s.Path, Reason: fmt.Sprintf("the segment begins at record %d, the lines before it end at %d", s.First, c.tree.Size())}
	}
	f, err := c.Fsys.OpenFile(s.Path, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	c.segs = append(c.segs, Segment{First: s.First, Path: s.Path, gen: c.gen})
	l.indexes = append(l.indexes, pendingIndex{first: s.First})
	if l.useIndex {
		// The part of a block in which a segment begins is read: its lines lead on
		// from the frontier in the segment's head.
		limit := min(until, l.Floor)
		if whole := (s.First + merkle.BlockSize - 1) / merkle.BlockSize * merkle.BlockSize; whole > s.First && whole <= limit {
			if end, err := l.scan(f, s, whole); err != nil {
				return end, err
			}
		}
		if err := l.skip(s, limit); err != nil {
			return 0, err
		}
	}
	if s.First == 0 && c.tree.Size() > 0 && c.id == (merkle.Hash{}) {
		line, err := newLineScanner(io.NewSectionReader(f, 0, math.MaxInt64), 0).next()
		if err != nil {
			return 0, err
		}
		c.id = merkle.LeafHash(line[:len(line)-1])
	}
	end, err = l.scan(f, s, until)
	if l.floorBytes > 0 && s.First == 0 && end <= l.floorBytes {
		l.Floor = max(l.Floor, c.tree.Size()) // all of it was adopted
	}
	if c.tree.Size() == l.Floor {
		l.FloorOffset = end
	}
	if err == nil && c.partLocked() {
		switch {
		case until != NoLimit:
			l.finished(c.finishLocked())
		case l.OnPart != nil:
			l.OnPart(c.finishLocked())
		}
	}
	return end, err
}

func (l *Loader) finished(e *BlockEntry) {
	if l.OnEntry != nil {
		l.OnEntry(e)
		return
	}
	l.pending().add(l.Chain, e)
}

// NoLimit is the limit of a last segment, which ends where its lines do.
const NoLimit = math.MaxUint64

func (l *Loader) pending() *pendingIndex { return &l.indexes[len(l.indexes)-1] }

// scan reads the lines of the last segment from where it is known.
func (l *Loader) scan(f disk.File, s Segment, until uint64) (end int64, err error) {
	c := l.Chain
	from := c.segs[len(c.segs)-1].Bytes
	sc := scan{
		first: c.tree.Size(), offset: from, until: until,
		cuts: l.cuts(), zeros: l.Floor, decode: l.Decode,
	}
	if s.First == 0 {
		sc.cutByte = l.floorBytes // only a first segment can be adopted
	}
	return sc.run(io.NewSectionReader(f, from, math.MaxInt64-from), func(p BlockPart) error {
		if s.First == 0 && l.floorBytes > 0 && p.offset >= l.floorBytes {
			l.Floor = max(l.Floor, p.first)
			l.floorBytes = 0
		}
		if p.first == l.Floor {
			l.FloorOffset = p.offset
		}
		if done := c.addLocked(p); done != nil {
			l.finished(done)
		}
		l.Unreadable += uint64(p.unreadable)
		if l.OnBytes != nil {
			l.OnBytes(p.bytes)
		}
		return l.compare(s, p.offset+p.bytes)
	})
}

// skip takes in the whole blocks before limit that the segment's index has. What
// is wrong with the file ends that early, no more.
func (l *Loader) skip(s Segment, limit uint64) error {
	c := l.Chain
	if err := l.skipBlocks(s, limit); err != nil {
		return err
	}
	list := l.Kept.List
	l.Next = sort.Search(len(list), func(i int) bool { return list[i].Size >= c.tree.Size() })
	return l.compare(s, c.segs[len(c.segs)-1].Bytes)
}

func (l *Loader) skipBlocks(s Segment, limit uint64) error {
	c := l.Chain
	r, err := OpenIndex(c.Fsys, c.Files.Index(s.First), s.First)
	for ; err == nil; l.pending().good++ {
		var e *BlockEntry
		if e, err = r.Next(); err != nil {
			break
		}
		end := e.Seq + uint64(len(e.Prints))
		if end > limit || e.offset+e.bytes > s.Bytes {
			break
		}
		if end <= c.tree.Size() {
			l.pending().more = nil // the part of a block that was read
			continue
		}
		if !e.whole() || e.Seq != c.tree.Size() || e.offset != c.segs[len(c.segs)-1].Bytes {
			break
		}
		c.skipLocked(e)
		l.fromIndex += merkle.BlockSize
	}
	r.Close()
	var damaged *IndexError
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) || errors.As(err, &damaged) {
		return nil
	}
	return err
}

// cuts are the sizes at which the frontier is needed.
func (l *Loader) cuts() []uint64 {
	var list []uint64
	for _, a := range l.Kept.List[l.Next:] {
		list = append(list, a.Size)
	}
	if n := len(list); n == 0 || list[n-1] < l.Floor {
		list = append(list, l.Floor)
	}
	return list
}

func (l *Loader) compare(s Segment, offset int64) error {
	list := l.Kept.List
	if l.Next == len(list) || l.Chain.tree.Size() < list[l.Next].Size {
		return nil
	}
	a := &list[l.Next]
	l.Next++
	if root := l.Chain.tree.Frontier().Root(); root != a.Root {
		return newRootError(s.Path, offset, SizeBefore(list, l.Next-1), a.Size)
	}
	a.End = l.Chain.bytes
	return nil
}

// RootError says that the lines do not lead to a signed root.
type RootError struct {
	DamageError
	From uint64 // the root of so many records still agreed
	Size uint64
}

func newRootError(file string, offset int64, from, size uint64) *RootError {
	return &RootError{DamageError{file, offset, fmt.Sprintf("the lines up to here give another Merkle root than the signed one of %d records: one of the records %d to %d was changed", size, from, size-1)}, from, size}
}

func (e *RootError) Unwrap() error { return &e.DamageError }

// Complete says whether every anchor was reached.
func (l *Loader) Complete() error {
	if l.Next == len(l.Kept.List) {
		return nil
	}
	a := l.Kept.List[len(l.Kept.List)-1]
	s := l.Chain.segs[len(l.Chain.segs)-1]
	return &DamageError{File: s.Path, Offset: s.Bytes, Reason: fmt.Sprintf("the log ends after %d records, a checkpoint kept with it states %d", l.Chain.tree.Size(), a.Size)}
}

// WriteIndexes writes what the indexes lack, and leaves that of the last segment
// open for what is appended. A failure is the index's own: see indexWriter.
func (l *Loader) WriteIndexes() {
	c := l.Chain
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
		w := newIndexWriter(c.Fsys, c.Files.Index(p.first), p.first, p.good)
		w.write(p.more)
		if last {
			c.index = w
		} else {
			w.close()
		}
	}
}

func Located(err error, s Segment, offset int64) error {
	var damage *DamageError
	if errors.As(err, &damage) {
		return err
	}
	return &DamageError{File: s.Path, Offset: offset, Reason: err.Error()}
}
