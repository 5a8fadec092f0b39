package audit

import (
	"fmt"
	"sync"

	"auditmesh/internal/durable"
	"auditmesh/internal/notify"
)

// chain is the reading side of a log: its segments up to the durable size, and
// what is needed to find, read and prove a record. Own logs and copies share
// it. Its writer (a Log or a Copy) is the only one that calls grow and reset.
type chain struct {
	fsys    durable.FS
	files   files
	changed notify.Hub

	mu    sync.RWMutex
	segs  []segment // guarded by mu
	marks []mark    // guarded by mu: one for every blockSize records
	tree  tree      // guarded by mu
	bytes int64     // guarded by mu: of all lines
	id    Hash      // guarded by mu: the first record's leaf hash
	gen   int       // guarded by mu: counts the times that segments were replaced
}

// mark is where the record with seq i*blockSize stands.
type mark struct {
	segment int
	offset  int64
	total   int64 // bytes of all lines before it
}

// size is the durable size. Nothing beyond it is read, signed or sent.
func (c *chain) size() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tree.size()
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

// grow takes in records that were synced at the end of the last segment.
func (c *chain) grow(leaves []Hash, lengths []int) {
	if len(leaves) == 0 {
		return
	}
	c.mu.Lock()
	for i, leaf := range leaves {
		c.appendLocked(leaf, lengths[i])
	}
	c.mu.Unlock()
	c.changed.Notify()
}

func (c *chain) appendLocked(leaf Hash, length int) {
	last := &c.segs[len(c.segs)-1]
	size := c.tree.size()
	if size == 0 {
		c.id = leaf
	}
	if size%blockSize == 0 {
		c.marks = append(c.marks, mark{len(c.segs) - 1, last.bytes, c.bytes})
	}
	c.tree.append(leaf)
	last.bytes += int64(length)
	c.bytes += int64(length)
}

// addSegment begins a new last segment at the present size.
func (c *chain) addSegment(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.segs = append(c.segs, segment{first: c.tree.size(), path: path, gen: c.gen})
}

// adopt replaces the content by that of a chain that was just loaded.
func (c *chain) adopt(o *chain) {
	c.mu.Lock()
	c.segs, c.marks, c.tree, c.bytes, c.id = o.segs, o.marks, o.tree, o.bytes, o.id
	c.gen++
	for i := range c.segs {
		c.segs[i].gen = c.gen
	}
	c.mu.Unlock()
	c.changed.Notify()
}

// place says where to begin reading for the record at seq: a segment, an offset
// in it, the seq that stands there, and the bytes of all lines before it.
func (c *chain) place(seq uint64) (s segment, offset int64, at uint64, total int64, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if seq >= c.tree.size() {
		return s, 0, 0, 0, fmt.Errorf("record %d is beyond the log's size of %d", seq, c.tree.size())
	}
	i := len(c.segs) - 1
	for c.segs[i].first > seq {
		i--
	}
	s, at = c.segs[i], c.segs[i].first
	m := c.marks[seq/blockSize]
	if m.segment == i {
		return s, m.offset, seq / blockSize * blockSize, m.total, nil
	}
	// The block began in an earlier segment: from this segment's beginning.
	total = m.total + c.segs[m.segment].bytes - m.offset
	for j := m.segment + 1; j < i; j++ {
		total += c.segs[j].bytes
	}
	return s, 0, at, total, nil
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
	c.mu.RUnlock()
	if size > now {
		return Frontier{}, 0, fmt.Errorf("size %d is beyond the log's size of %d", size, now)
	}
	from := size / blockSize * blockSize
	c.mu.RLock()
	total = c.marks[size/blockSize].total
	c.mu.RUnlock()
	rest := Frontier{}
	r := newReader(c, from)
	defer r.Close()
	for i := from; i < size; i++ {
		rec, err := r.Next()
		if err != nil {
			return Frontier{}, 0, err
		}
		total += int64(len(rec.Line)) + 1
		rest.Append(LeafHash(rec.Line))
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tree.frontierAt(size, rest), total, nil
}

// splitLast makes the last segment's records from seq on, which begin at offset
// there, a segment of their own.
func (c *chain) splitLast(seq uint64, path string, offset int64) {
	i := len(c.segs) - 1
	tail := c.segs[i].bytes - offset
	c.segs[i].bytes = offset
	c.segs = append(c.segs, segment{first: seq, path: path, bytes: tail, gen: c.gen})
	for j := len(c.marks) - 1; j >= 0 && c.marks[j].segment == i && uint64(j)*blockSize >= seq; j-- {
		c.marks[j].segment++
		c.marks[j].offset -= offset
	}
}
