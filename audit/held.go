package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// held is what an own log and a copy have in common: lines that are durable
// here, checkpoints kept with them, and how to serve both.
type held struct {
	peer  string
	chain *chain
	kept  *anchors
}

// Name is the log's name, false while the log is empty.
func (h *held) Name() (LogName, bool) {
	id, ok := h.chain.logID()
	return LogName{h.peer, id}, ok
}

// First is the seq of the first record that is held: 0, until retention removed
// segments.
func (h *held) First() uint64 { return h.chain.first() }

// Size is how many records are durable here.
func (h *held) Size() uint64 { return h.chain.size() }

// Bytes is how many bytes the held lines have.
func (h *held) Bytes() int64 {
	var n int64
	for _, s := range h.chain.segments() {
		n += s.bytes
	}
	return n
}

// Segments is how many files the lines are in.
func (h *held) Segments() int { return len(h.chain.segments()) }

// Subscribe returns a channel that wakes after the durable or the signed size
// changed, and the function that ends the subscription.
func (h *held) Subscribe() (wake <-chan struct{}, cancel func()) { return h.chain.changed.Subscribe() }

// Reader returns a reader that begins at the record with seq from.
func (h *held) Reader(from uint64) *Reader { return newReader(h.chain, from) }

// RootAt is the Merkle root of the first size records. It reads at most 255 lines.
func (h *held) RootAt(size uint64) (Hash, error) {
	f, _, err := h.chain.frontierAt(size)
	return f.Root(), err
}

// Head is the checkpoint of the greatest size that is kept, false if none is.
func (h *held) Head() (Checkpoint, bool) {
	a, ok := h.kept.last()
	if !ok {
		return Checkpoint{}, false
	}
	name, _ := h.Name()
	return Checkpoint{Log: name, Size: a.size, Root: a.root, Note: a.note}, true
}

// SignedSize is the size of Head, 0 if there is none.
func (h *held) SignedSize() uint64 {
	a, _ := h.kept.last()
	return a.size
}

// Batch makes the batch that begins at from and ends at a checkpoint kept here,
// as large as the limits of a batch allow. It returns io.EOF when no checkpoint
// states more than from.
func (h *held) Batch(from uint64) (*Batch, error) {
	if from >= h.SignedSize() {
		return nil, io.EOF
	}
	frontier, pos, err := h.chain.frontierAt(from)
	if err != nil {
		return nil, err
	}
	end, err := h.batchEnd(from, pos)
	if err != nil {
		return nil, err
	}
	name, _ := h.Name()
	b := &Batch{Log: name, First: from, Frontier: frontier.Hashes, Checkpoint: end.note}
	var lines bytes.Buffer
	grown := frontier.Clone()
	var lh lineHasher
	r := h.Reader(from)
	defer r.Close()
	for r.Seq() < end.size {
		rec, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("make a batch of %s: %w", name, err)
		}
		lines.Write(rec.ended())
		grown.Append(lh.line(rec.ended()).hash)
	}
	if grown.Root() != end.root {
		return nil, &DamageError{File: r.seg.path, Offset: r.sc.offset, Reason: fmt.Sprintf("one of the records %d to %d was changed after it was signed; they are not sent: `auditmesh verify` says which", from, end.size-1)}
	}
	b.Lines = lines.Bytes()
	return b, nil
}

// batchEnd is the checkpoint at which a batch that begins at (from, pos) ends:
// the greatest within the limits of a run, or else the next.
func (h *held) batchEnd(from uint64, pos int64) (anchor, error) {
	list := h.kept.after(from)
	if len(list) == 0 {
		return anchor{}, io.EOF
	}
	for i := 1; i < len(list); i++ {
		if err := h.locate(&list[i]); err != nil {
			return anchor{}, err
		}
		if !fits(from, pos, list[i]) {
			return list[i-1], nil
		}
	}
	return list[len(list)-1], nil
}

// locate fills in where an anchor's lines end, if that is not known yet.
func (h *held) locate(a *anchor) (err error) {
	if a.pos == unknownPos {
		if _, a.pos, err = h.chain.frontierAt(a.size); err == nil {
			h.kept.locate(a.size, a.pos)
		}
	}
	return err
}

// locateLast fills in where the lines of the last checkpoints end, from which
// the next are made.
func locateLast(c *chain, kept *anchors) error {
	h := held{chain: c, kept: kept}
	for i := max(0, len(kept.list)-2); i < len(kept.list); i++ {
		a := kept.list[i]
		if a.size < c.first() {
			continue
		}
		if err := h.locate(&a); err != nil {
			return err
		}
	}
	return nil
}

// Lines writes the held lines to w, byte for byte.
func (h *held) Lines(w io.Writer) error {
	r := h.Reader(h.First())
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(rec.ended()); err != nil {
			return err
		}
	}
}

// SeekTime is the seq of the first record whose time is ms (Unix milliseconds)
// or later, or the size. It reads at most one block of lines, unless the index
// was misled by a line that states its time twice.
func (h *held) SeekTime(ms uint64) (uint64, error) {
	r := h.Reader(h.chain.seek(ms))
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Seq(), nil
		}
		if err != nil {
			return 0, err
		}
		if t := lineTime(rec.ended()); t >= ms && t > 0 {
			return rec.Seq, nil
		}
	}
}
