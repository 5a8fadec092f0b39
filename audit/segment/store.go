package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// Store is what an own log and a copy have in common: lines that are durable
// here, checkpoints kept with them, and how to serve both.
type Store struct {
	owner string
	seq   *Sequence
	kept  *Checkpoints

	unfinished bool // Retire removed a part; whoever may call Retire owns it
}

// NewStore is the store of the node with that peer id.
func NewStore(owner string, seq *Sequence, kept *Checkpoints) Store {
	return Store{owner: owner, seq: seq, kept: kept}
}

// Name is the log's name, false while the log is empty.
func (h *Store) Name() (merkle.LogName, bool) {
	id, ok := h.seq.logID()
	return merkle.LogName{Peer: h.owner, ID: id}, ok
}

// First is the seq of the first record that is held: 0, until retention removed
// segments.
func (h *Store) First() uint64 { return h.seq.First() }

// Size is how many records are durable here.
func (h *Store) Size() uint64 { return h.seq.Size() }

// Bytes is how many bytes the held lines have.
func (h *Store) Bytes() int64 {
	var n int64
	for _, s := range h.seq.Segments() {
		n += s.Bytes
	}
	return n
}

// Segments is how many files the lines are in.
func (h *Store) Segments() int { return len(h.seq.Segments()) }

// Subscribe returns a channel that wakes after the durable or the signed size
// changed, and the function that ends the subscription.
func (h *Store) Subscribe() (wake <-chan struct{}, cancel func()) { return h.seq.changed.Subscribe() }

// Reader returns a reader that begins at the record with seq from.
func (h *Store) Reader(from uint64) *Reader { return NewReader(h.seq, from) }

// RootAt is the Merkle root of the first size records. It reads at most 255 lines.
func (h *Store) RootAt(size uint64) (merkle.Hash, error) {
	f, _, err := h.seq.FrontierAt(size)
	return f.Root(), err
}

// Head is the checkpoint of the greatest size that is kept, false if none is.
func (h *Store) Head() (merkle.Checkpoint, bool) {
	a, ok := h.kept.Last()
	if !ok {
		return merkle.Checkpoint{}, false
	}
	name, _ := h.Name()
	return merkle.Checkpoint{Log: name, Size: a.Size, Root: a.Root, Note: a.Note}, true
}

// SignedSize is the size of Head, 0 if there is none.
func (h *Store) SignedSize() uint64 {
	a, _ := h.kept.Last()
	return a.Size
}

// Batch makes the batch that begins at from and ends at a checkpoint kept here,
// as large as the limits of a batch allow. It returns io.EOF when no checkpoint
// states more than from.
func (h *Store) Batch(from uint64) (*merkle.Batch, error) {
	if from >= h.SignedSize() {
		return nil, io.EOF
	}
	frontier, pos, err := h.seq.FrontierAt(from)
	if err != nil {
		return nil, err
	}
	end, err := h.batchEnd(from, pos)
	if err != nil {
		return nil, err
	}
	name, _ := h.Name()
	b := &merkle.Batch{Log: name, First: from, Frontier: frontier.Hashes, Checkpoint: end.Note}
	var lines bytes.Buffer
	grown := frontier.Range()
	var lh LineHasher
	r := h.Reader(from)
	defer r.Close()
	for r.Seq() < end.Size {
		rec, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("make a batch of %s: %w", name, err)
		}
		lines.Write(rec.Ended())
		grown.AppendLeaf(lh.Line(rec.Ended()).Hash)
	}
	if grown.Root() != end.Root {
		return nil, &DamageError{File: r.seg.Path, Offset: r.sc.offset, Reason: fmt.Sprintf("one of the records %d to %d was changed after it was signed; they are not sent: `auditmesh verify` says which", from, end.Size-1)}
	}
	b.Lines = lines.Bytes()
	return b, nil
}

// batchEnd is the checkpoint at which a batch that begins at (from, pos) ends:
// the greatest within the limits of a run, or else the next.
func (h *Store) batchEnd(from uint64, pos int64) (Kept, error) {
	list := h.kept.after(from)
	if len(list) == 0 {
		return Kept{}, io.EOF
	}
	for i := 1; i < len(list); i++ {
		if err := h.findEnd(&list[i]); err != nil {
			return Kept{}, err
		}
		if !FitsRun(from, pos, list[i]) {
			return list[i-1], nil
		}
	}
	return list[len(list)-1], nil
}

// findEnd fills in where a checkpoint's lines end, if that is not known yet.
func (h *Store) findEnd(a *Kept) (err error) {
	if a.End == unknownPos {
		if _, a.End, err = h.seq.FrontierAt(a.Size); err == nil {
			h.kept.setEnd(a.Size, a.End)
		}
	}
	return err
}

// FindEnds fills in where the lines of the last checkpoints end, from which
// the next are made.
func FindEnds(c *Sequence, kept *Checkpoints) error {
	h := Store{seq: c, kept: kept}
	for i := max(0, len(kept.list)-2); i < len(kept.list); i++ {
		a := kept.list[i]
		if a.Size < c.First() {
			continue
		}
		if err := h.findEnd(&a); err != nil {
			return err
		}
	}
	return nil
}

// Lines writes the held lines to w, byte for byte.
func (h *Store) Lines(w io.Writer) error {
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
		if _, err := w.Write(rec.Ended()); err != nil {
			return err
		}
	}
}

// SeekTime is the seq of the first record whose time is ms (Unix milliseconds)
// or later, or the size. It reads at most one block of lines, unless the index
// was misled by a line that states its time twice.
func (h *Store) SeekTime(ms uint64) (uint64, error) {
	r := h.Reader(h.seq.seek(ms))
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Seq(), nil
		}
		if err != nil {
			return 0, err
		}
		if t := event.LineTime(rec.Ended()); t >= ms && t > 0 {
			return rec.Seq, nil
		}
	}
}
