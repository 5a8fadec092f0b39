package audit

import (
	"errors"
	"fmt"
	"sort"
	"sync"

	"auditmesh/internal/durable"
	"auditmesh/internal/notify"
)

// chain is the reading side of a log: its segments up to the durable size, and
// what is needed to find, read and prove a record. Own logs and copies share
// it. Its writer (a Log or a Copy) is the only one that calls grow, seal,
// retire and adopt.
type chain struct {
	fsys    durable.FS
	files   files
	changed notify.Hub
	index   *indexWriter // of the last segment; the writer's alone

	mu    sync.RWMutex
	segs  []segment    // guarded by mu
	tree  tree         // guarded by mu
	bytes int64        // guarded by mu: of all lines since the chain was loaded, those of segments that are gone included
	id    Hash         // guarded by mu: the first record's leaf hash
	gen   int          // guarded by mu: counts the times that segments were replaced
	open  entry        // guarded by mu: of the block that is not complete
	sum   compactRange // guarded by mu: of the open entry's lines
}

// mark is what is kept of a block in a segment, or of the part of it there.
type mark struct {
	offset int64
	times  times
}

// ErrRetired is returned for records before the first that is held: retention
// removed their segments.
var ErrRetired = errors.New("the record is no longer held: retention removed its segment")

// size is the durable size. Nothing beyond it is read, signed or sent.
func (c *chain) size() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tree.size()
}

// first is the seq of the first record held.
func (c *chain) first() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.segs) == 0 {
		return 0
	}
	return c.segs[0].first
}

// logID is the log's id, false while the log is empty.
func (c *chain) logID() (Hash, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.id, c.tree.size() > 0
}

// head is the frontier at the durable size, and the bytes of all lines.
func (c *chain) head() (Frontier, int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tree.frontier(), c.bytes
}

// bytesBefore are the bytes of all lines before the durable size.
func (c *chain) bytesBefore() int64 {
	_, n := c.head()
	return n
}

// idString is the log's id in hex, all zeros while the log is empty.
func (c *chain) idString() string {
	id, _ := c.logID()
	return LogName{ID: id}.IDString()
}

// segments are the log's segments, in order.
func (c *chain) segments() []segment {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return append([]segment(nil), c.segs...)
}

// closeIndex closes the last segment's index, as it is.
func (c *chain) closeIndex() { c.index.close() }

// grow takes in records that were synced at the end of the last segment.
func (c *chain) grow(more []piece) {
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

// addLocked takes in a piece of the last segment. It returns the index entry of
// the block that it completes, valid until the next call.
func (c *chain) addLocked(p piece) *entry {
	last := &c.segs[len(c.segs)-1]
	if p.first == 0 {
		c.id = p.id
	}
	c.beginLocked(p.first, p.offset, p.times)
	for _, n := range p.tree.nodes {
		c.tree.appendSubtree(n.level, n.hash)
		c.sum.add(n)
	}
	c.open.bytes += p.bytes
	c.open.times.add(p.times)
	c.open.prints = append(c.open.prints, p.prints...)
	last.bytes += p.bytes
	c.bytes += p.bytes
	if p.end()%blockSize != 0 {
		return nil
	}
	return c.finishLocked()
}

// beginLocked makes the mark of a block of the last segment with its first piece.
func (c *chain) beginLocked(seq uint64, offset int64, t times) {
	last := &c.segs[len(c.segs)-1]
	if slot := int(seq/blockSize - last.first/blockSize); slot < len(last.marks) {
		last.marks[slot].times.add(t)
		return
	}
	last.marks = append(last.marks, mark{offset, t})
	c.open = entry{seq: seq, offset: offset, prints: c.open.prints[:0]}
	c.sum = compactRange{end: seq, nodes: c.sum.nodes[:0]}
}

// partLocked says whether the last segment ends with a part of a block.
func (c *chain) partLocked() bool {
	return c.segs[len(c.segs)-1].bytes > 0 && c.tree.size()%blockSize != 0
}

// finishLocked ends the open entry.
func (c *chain) finishLocked() *entry {
	c.open.root = c.sum.root()
	return &c.open
}

// skipLocked takes in a whole block from the index, whose lines are not read.
func (c *chain) skipLocked(e *entry) {
	last := &c.segs[len(c.segs)-1]
	last.marks = append(last.marks, mark{e.offset, e.times})
	c.tree.appendSubtree(blockLevel, e.root)
	last.bytes += e.bytes
	c.bytes += e.bytes
}

// begin makes an empty chain one that is held from a frontier on.
func (c *chain) begin(at Frontier, id Hash, path string) {
	c.mu.Lock()
	c.tree, c.id = newTree(at), id
	c.mu.Unlock()
	c.seal(path)
}

// seal ends the last segment and begins another at the present size.
func (c *chain) seal(path string) {
	c.flushIndex()
	c.mu.Lock()
	first := c.tree.size()
	c.segs = append(c.segs, segment{first: first, path: path, gen: c.gen})
	c.mu.Unlock()
	c.index = newIndexWriter(c.fsys, c.files.index(first), first, 0)
}

// flushIndex writes the entry of the block that is not complete, and closes the
// last segment's index.
func (c *chain) flushIndex() {
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
func (c *chain) retire(i int, start Frontier) {
	c.mu.Lock()
	c.segs = append([]segment(nil), c.segs[i:]...)
	c.tree.start = start
	c.mu.Unlock()
	c.changed.Notify()
}

// adopt replaces the content by that of a chain that was just loaded.
func (c *chain) adopt(o *chain) {
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
func (c *chain) segmentLocked(seq uint64) int {
	return max(0, sort.Search(len(c.segs), func(i int) bool { return c.segs[i].first > seq })-1)
}

// place says where to begin reading for the record at seq: a segment, an offset
// in it, and the seq that stands there.
func (c *chain) place(seq uint64) (s segment, offset int64, at uint64, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if seq >= c.tree.size() {
		return s, 0, 0, fmt.Errorf("record %d is beyond the log's size of %d", seq, c.tree.size())
	}
	s = c.segs[c.segmentLocked(seq)]
	if seq < s.first {
		return s, 0, 0, fmt.Errorf("record %d: %w; the first held is %d", seq, ErrRetired, s.first)
	}
	m := s.marks[seq/blockSize-s.first/blockSize]
	return s, m.offset, max(s.first, seq/blockSize*blockSize), nil
}

// seek is the first record whose time is not before t, as far as the index
// tells: the beginning of the first block that may have one, or the size.
func (c *chain) seek(t uint64) uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, s := range c.segs {
		for i, m := range s.marks {
			if m.times.most >= t {
				return max(s.first, (s.first/blockSize+uint64(i))*blockSize)
			}
		}
	}
	return c.tree.size()
}

// frontierAt is the frontier at an earlier size, and the bytes of the lines
// before it. It reads at most blockSize-1 lines.
func (c *chain) frontierAt(size uint64) (Frontier, int64, error) {
	c.mu.RLock()
	now, total := c.tree.size(), c.bytes
	if size == now {
		f := c.tree.frontier()
		c.mu.RUnlock()
		return f, total, nil
	}
	if size > now {
		c.mu.RUnlock()
		return Frontier{}, 0, fmt.Errorf("size %d is beyond the log's size of %d", size, now)
	}
	if first := c.segs[0].first; size < first {
		c.mu.RUnlock()
		return Frontier{}, 0, fmt.Errorf("size %d: %w; the first held is %d", size, ErrRetired, first)
	}
	i := c.segmentLocked(size)
	for _, s := range c.segs[i:] {
		total -= s.bytes
	}
	rest := c.tree.restAt(size)
	total += c.segs[i].marks[size/blockSize-c.segs[i].first/blockSize].offset
	inBlock := max(c.segs[i].first, size/blockSize*blockSize)
	from := max(c.segs[0].first, size/blockSize*blockSize)
	c.mu.RUnlock()
	r := newReader(c, from)
	defer r.Close()
	var lh lineHasher
	for n := from; n < size; n++ {
		rec, err := r.Next()
		if err != nil {
			return Frontier{}, 0, err
		}
		if n >= inBlock {
			total += int64(len(rec.Line)) + 1
		}
		rest.Append(lh.line(rec.ended()).hash)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tree.frontierAt(size, rest), total, nil
}
