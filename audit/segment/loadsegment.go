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

// head reads a segment's head, and compares it with the lines before it. The
// first segment's says where the log begins to be held.
func (l *loader) head(s Segment, first bool) error {
	path := l.out.files.Head(s.First)
	head, err := ReadHead(l.out.fsys, path)
	if err != nil {
		return fmt.Errorf("segment %s: %w", s.Path, err)
	}
	f := merkle.Frontier{Size: head.First, Hashes: head.Frontier}
	if head.First != s.First || f.Check() != nil {
		return &DamageError{File: path, Reason: fmt.Sprintf("is the head of a segment at record %d", head.First)}
	}
	if !first {
		if !f.Equal(l.out.tree.Frontier()) || head.Log != (merkle.LogName{ID: l.out.id}).IDString() {
			return l.newRootError(DamageError{File: path, Reason: "the segment's head does not fit the lines before it"}, s.First)
		}
		return nil
	}
	l.adopted = head.AdoptedBytes
	if head.First == 0 {
		return nil
	}
	l.out.tree = merkle.NewTree(f)
	if l.out.id, err = merkle.ParseLogID(head.Log); err != nil {
		return &DamageError{File: path, Reason: err.Error()}
	}
	l.next = sort.Search(len(l.out.Kept.list), func(i int) bool { return l.out.Kept.list[i].Size >= head.First })
	return l.compare(s, 0)
}

// segment reads a segment up to the record until, or to its end. It returns the
// offset where reading ended; with ErrUnfinished, errZeros or errLineTooLong
// the offset is that of the line at fault.
func (l *loader) segment(s Segment, until uint64) (end int64, err error) {
	c := l.out.Sequence
	if s.First != c.tree.Size() {
		return 0, &DamageError{File: s.Path, Reason: fmt.Sprintf("the segment begins at record %d, the lines before it end at %d", s.First, c.tree.Size())}
	}
	f, err := c.fsys.OpenFile(s.Path, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	c.segs = append(c.segs, Segment{First: s.First, Path: s.Path, gen: c.gen})
	l.out.indexes = append(l.out.indexes, pendingIndex{first: s.First})
	if l.useIndex {
		// The part of a block in which a segment begins is read: its lines lead on
		// from the frontier in the segment's head.
		limit := min(until, l.out.Signed)
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
	if l.adopted > 0 && s.First == 0 && end <= l.adopted {
		l.out.Signed = max(l.out.Signed, c.tree.Size()) // all of it was adopted
	}
	if c.tree.Size() == l.out.Signed {
		l.out.SignedEnd = end
	}
	if err == nil && c.partLocked() {
		if until != noLimit {
			l.finished(c.finishLocked())
		} else {
			l.policy.Index.compare(c.finishLocked(), true)
		}
	}
	return end, err
}

func (l *loader) finished(e *blockEntry) {
	if l.policy.ReadOnly {
		l.policy.Index.compare(e, false)
		return
	}
	l.pending().add(l.out.Sequence, e)
}

func (l *loader) pending() *pendingIndex { return &l.out.indexes[len(l.out.indexes)-1] }

// scan reads the lines of the last segment from where it is known.
func (l *loader) scan(f disk.File, s Segment, until uint64) (end int64, err error) {
	c := l.out.Sequence
	from := c.segs[len(c.segs)-1].Bytes
	sc := scan{
		first: c.tree.Size(), offset: from, until: until,
		cuts: l.cuts(), zeros: l.out.Signed, decode: l.policy.Decode,
	}
	if s.First == 0 {
		sc.cutByte = l.adopted // only a first segment can be adopted
	}
	return sc.run(io.NewSectionReader(f, from, math.MaxInt64-from), func(p BlockPart) error {
		if s.First == 0 && l.adopted > 0 && p.offset >= l.adopted {
			l.out.Signed = max(l.out.Signed, p.first)
			l.adopted = 0
		}
		if p.first == l.out.Signed {
			l.out.SignedEnd = p.offset
		}
		if done := c.addLocked(p); done != nil {
			l.finished(done)
		}
		l.out.Unreadable += uint64(p.unreadable)
		if l.policy.Read != nil {
			l.policy.Read(p.bytes)
		}
		return l.compare(s, p.offset+p.bytes)
	})
}

// skip takes in the whole blocks before limit that the segment's index has. What
// is wrong with the file ends that early, no more.
func (l *loader) skip(s Segment, limit uint64) error {
	c := l.out.Sequence
	if err := l.skipBlocks(s, limit); err != nil {
		return err
	}
	list := l.out.Kept.list
	l.next = sort.Search(len(list), func(i int) bool { return list[i].Size >= c.tree.Size() })
	return l.compare(s, c.segs[len(c.segs)-1].Bytes)
}

func (l *loader) skipBlocks(s Segment, limit uint64) error {
	c := l.out.Sequence
	r, err := openIndex(c.fsys, c.files.Index(s.First), s.First)
	for ; err == nil; l.pending().good++ {
		var e *blockEntry
		if e, err = r.next(); err != nil {
			break
		}
		end := e.seq + uint64(len(e.prints))
		if end > limit || e.offset+e.bytes > s.Bytes {
			break
		}
		if end <= c.tree.Size() {
			l.pending().more = nil // the part of a block that was read
			continue
		}
		if !e.whole() || e.seq != c.tree.Size() || e.offset != c.segs[len(c.segs)-1].Bytes {
			break
		}
		c.skipLocked(e)
		l.fromIndex += merkle.BlockSize
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
	for _, a := range l.out.Kept.list[l.next:] {
		list = append(list, a.Size)
	}
	if n := len(list); n == 0 || list[n-1] < l.out.Signed {
		list = append(list, l.out.Signed)
	}
	return list
}

func (l *loader) compare(s Segment, offset int64) error {
	list := l.out.Kept.list
	if l.next == len(list) || l.out.tree.Size() < list[l.next].Size {
		return nil
	}
	a := &list[l.next]
	l.next++
	if root := l.out.tree.Frontier().Root(); root != a.Root {
		from := sizeBefore(list, l.next-1)
		return &RootError{DamageError{s.Path, offset, fmt.Sprintf("the lines up to here give another Merkle root than the signed one of %d records: one of the records %d to %d was changed", a.Size, from, a.Size-1)}, from, a.Size}
	}
	a.End = l.out.bytes
	return nil
}
