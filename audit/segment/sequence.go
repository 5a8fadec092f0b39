package segment

import (
	"errors"
	"fmt"
	"sort"
	"sync"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
	"auditmesh/internal/notify"
)

// Sequence is the reading side of a log: its segments up to the durable size, and
// what is needed to find, read and prove a record. Own logs and copies share
// it. Its writer (a Log or a Copy) is the only one that calls Grow, Seal,
// Adopt and retires.
type Sequence struct {
	fsys    disk.FS
	files   Layout
	changed notify.Hub
	index   *indexWriter // of the last segment; the writer's alone

	mu    sync.RWMutex
	segs  []Segment    // guarded by mu
	tree  merkle.Tree  // guarded by mu
	bytes int64        // guarded by mu: of all lines since the log was loaded, those of segments that are gone included
	id    merkle.Hash  // guarded by mu: the first record's leaf hash
	gen   int          // guarded by mu: counts the times that segments were replaced
	open  blockEntry   // guarded by mu: of the block that is not complete
	sum   merkle.Range // guarded by mu: of the open entry's lines
}

// NewSequence is an empty one, of the log with those files.
func NewSequence(fsys disk.FS, files Layout) *Sequence {
	return &Sequence{fsys: fsys, files: files}
}

// mark is what is kept of a block in a segment, or of the part of it there.
type mark struct {
	offset int64
	times  times
}

// ErrRetired is returned for records before the first that is held: retention
// removed their segments.
var ErrRetired = errors.New("the record is no longer held: retention removed its segment")

// Wake wakes who subscribed to the store: what is signed has changed. What is
// durable does it by itself.
func (c *Sequence) Wake() { c.changed.Notify() }

// Size is the durable size. Nothing beyond it is read, signed or sent.
func (c *Sequence) Size() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tree.Size()
}

// First is the seq of the first record held.
func (c *Sequence) First() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.segs) == 0 {
		return 0
	}
	return c.segs[0].First
}

// logID is the log's id, false while the log is empty.
func (c *Sequence) logID() (merkle.Hash, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.id, c.tree.Size() > 0
}

// Head is the frontier at the durable size, and the bytes of all lines.
func (c *Sequence) Head() (merkle.Frontier, int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tree.Frontier(), c.bytes
}

// Bytes are the bytes of all lines before the durable size.
func (c *Sequence) Bytes() int64 {
	_, n := c.Head()
	return n
}

// ID is the log's id in hex, all zeros while the log is empty.
func (c *Sequence) ID() string {
	id, _ := c.logID()
	return merkle.LogName{ID: id}.IDString()
}

// Segments are the log's segments, in order.
func (c *Sequence) Segments() []Segment {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return append([]Segment(nil), c.segs...)
}

// CloseIndex closes the last segment's index, as it is.
func (c *Sequence) CloseIndex() { c.index.close() }

// Grow takes in records that were synced at the end of the last segment.
func (c *Sequence) Grow(more []BlockPart) {
	var entries []byte
	c.mu.Lock()
	for _, p := range more {
		if done := c.addLocked(p); done != nil {
			entries = done.encode(entries)
		}
	}
	c.mu.Unlock()
	if c.index != nil {
		c.index.write(entries)
	}
	c.changed.Notify()
}

// addLocked takes in a part of a block of the last segment. It returns the index entry of
// the block that it completes, valid until the next call.
func (c *Sequence) addLocked(p BlockPart) *blockEntry {
	last := &c.segs[len(c.segs)-1]
	if p.first == 0 {
		c.id = p.id
	}
	c.startBlockLocked(p.first, p.offset, p.times)
	for _, n := range p.tree.Nodes() {
		c.tree.Append(n)
		c.sum.Append(n, nil)
	}
	c.open.bytes += p.bytes
	c.open.times.add(p.times)
	c.open.prints = append(c.open.prints, p.prints...)
	last.Bytes += p.bytes
	c.bytes += p.bytes
	if p.end()%merkle.BlockSize != 0 {
		return nil
	}
	return c.finishLocked()
}

// startBlockLocked makes the mark of a block of the last segment with its first part.
func (c *Sequence) startBlockLocked(seq uint64, offset int64, t times) {
	last := &c.segs[len(c.segs)-1]
	if slot := int(seq/merkle.BlockSize - last.First/merkle.BlockSize); slot < len(last.marks) {
		last.marks[slot].times.add(t)
		return
	}
	last.marks = append(last.marks, mark{offset, t})
	c.open = blockEntry{seq: seq, offset: offset, prints: c.open.prints[:0]}
	c.sum.Reset(seq)
}

// partLocked says whether the last segment ends with a part of a block.
func (c *Sequence) partLocked() bool {
	return c.segs[len(c.segs)-1].Bytes > 0 && c.tree.Size()%merkle.BlockSize != 0
}

// finishLocked ends the open entry.
func (c *Sequence) finishLocked() *blockEntry {
	c.open.root = c.sum.Root()
	return &c.open
}

// skipLocked takes in a whole block from the index, whose lines are not read.
func (c *Sequence) skipLocked(e *blockEntry) {
	last := &c.segs[len(c.segs)-1]
	last.marks = append(last.marks, mark{e.offset, e.times})
	c.tree.Append(merkle.Subtree{Level: merkle.BlockLevel, Hash: e.root})
	last.Bytes += e.bytes
	c.bytes += e.bytes
}

// StartAt makes an empty sequence one that begins at a frontier.
func (c *Sequence) StartAt(at merkle.Frontier, id merkle.Hash, path string) {
	c.mu.Lock()
	c.tree, c.id = merkle.NewTree(at), id
	c.mu.Unlock()
	c.Seal(path)
}

// Seal ends the last segment and begins another at the present size.
func (c *Sequence) Seal(path string) {
	c.FlushIndex()
	c.mu.Lock()
	first := c.tree.Size()
	c.segs = append(c.segs, Segment{First: first, Path: path, gen: c.gen})
	c.mu.Unlock()
	c.index = newIndexWriter(c.fsys, c.files.Index(first), first, 0)
}

// FlushIndex writes the entry of the block that is not complete, and closes the
// last segment's index.
func (c *Sequence) FlushIndex() {
	if c.index == nil {
		return
	}
	c.mu.Lock()
	var raw []byte
	if c.partLocked() {
		raw = c.finishLocked().encode(nil)
	}
	c.mu.Unlock()
	c.index.write(raw)
	c.index.close()
	c.index = nil
}

// retire forgets the segments before the one at index i, which begins at start.
func (c *Sequence) retire(i int, start merkle.Frontier) {
	c.mu.Lock()
	c.segs = append([]Segment(nil), c.segs[i:]...)
	c.tree.Forget(start)
	c.mu.Unlock()
	c.changed.Notify()
}

// Adopt replaces the content by that of one that was just loaded.
func (c *Sequence) Adopt(o *Sequence) {
	c.index.close()
	c.index = o.index
	c.mu.Lock()
	c.segs, c.tree, c.bytes, c.id, c.open, c.sum = o.segs, o.tree, o.bytes, o.id, o.open, o.sum
	c.gen++
	for i := range c.segs {
		c.segs[i].gen = c.gen
	}
	c.mu.Unlock()
	c.changed.Notify()
}

// segmentLocked is the index of the segment that has the record, or of the last.
func (c *Sequence) segmentLocked(seq uint64) int {
	return max(0, sort.Search(len(c.segs), func(i int) bool { return c.segs[i].First > seq })-1)
}

// find says where to begin reading for the record at seq: a segment, an offset
// in it, and the seq that stands there.
func (c *Sequence) find(seq uint64) (s Segment, offset int64, at uint64, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if seq >= c.tree.Size() {
		return s, 0, 0, fmt.Errorf("record %d is beyond the log's size of %d", seq, c.tree.Size())
	}
	s = c.segs[c.segmentLocked(seq)]
	if seq < s.First {
		return s, 0, 0, fmt.Errorf("record %d: %w; the first held is %d", seq, ErrRetired, s.First)
	}
	m := s.marks[seq/merkle.BlockSize-s.First/merkle.BlockSize]
	return s, m.offset, max(s.First, seq/merkle.BlockSize*merkle.BlockSize), nil
}

// seek is the first record whose time is not before t, as far as the index
// tells: the beginning of the first block that may have one, or the size.
func (c *Sequence) seek(t uint64) uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, s := range c.segs {
		for i, m := range s.marks {
			if m.times.most >= t {
				return max(s.First, (s.First/merkle.BlockSize+uint64(i))*merkle.BlockSize)
			}
		}
	}
	return c.tree.Size()
}

// FrontierAt is the frontier at an earlier size, and the bytes of the lines
// before it. It reads at most merkle.BlockSize-1 lines.
func (c *Sequence) FrontierAt(size uint64) (merkle.Frontier, int64, error) {
	c.mu.RLock()
	now, total := c.tree.Size(), c.bytes
	if size == now {
		f := c.tree.Frontier()
		c.mu.RUnlock()
		return f, total, nil
	}
	if size > now {
		c.mu.RUnlock()
		return merkle.Frontier{}, 0, fmt.Errorf("size %d is beyond the log's size of %d", size, now)
	}
	if first := c.segs[0].First; size < first {
		c.mu.RUnlock()
		return merkle.Frontier{}, 0, fmt.Errorf("size %d: %w; the first held is %d", size, ErrRetired, first)
	}
	i := c.segmentLocked(size)
	for _, s := range c.segs[i:] {
		total -= s.Bytes
	}
	rest := c.tree.Rest(size)
	total += c.segs[i].marks[size/merkle.BlockSize-c.segs[i].First/merkle.BlockSize].offset
	inBlock := max(c.segs[i].First, size/merkle.BlockSize*merkle.BlockSize)
	from := max(c.segs[0].First, size/merkle.BlockSize*merkle.BlockSize)
	c.mu.RUnlock()
	r := NewReader(c, from)
	defer r.Close()
	var lh LineHasher
	for n := from; n < size; n++ {
		rec, err := r.Next()
		if err != nil {
			return merkle.Frontier{}, 0, err
		}
		if n >= inBlock {
			total += int64(len(rec.Line)) + 1
		}
		rest.AppendLeaf(lh.Line(rec.Ended()).Hash)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tree.FrontierAt(rest), total, nil
}
