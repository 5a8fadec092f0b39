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

// First is the seq of the first record that is held.
func (h *held) First() uint64 { return 0 }

// Size is how many records are durable here.
func (h *held) Size() uint64 { return h.chain.size() }

// Bytes is how many bytes the held lines have.
func (h *held) Bytes() int64 {
	_, n := h.chain.head()
	return n
}

// Segments is how many files the lines are in.
func (h *held) Segments() int {
	h.chain.mu.RLock()
	defer h.chain.mu.RUnlock()
	return len(h.chain.segs)
}

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
	end, ok := h.kept.end(from, pos)
	if !ok {
		return nil, io.EOF
	}
	name, _ := h.Name()
	b := &Batch{Log: name, First: from, Frontier: frontier.Hashes, Checkpoint: end.note}
	var lines bytes.Buffer
	r := h.Reader(from)
	defer r.Close()
	for r.Seq() < end.size {
		rec, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("make a batch of %s: %w", name, err)
		}
		lines.Write(rec.Line)
		lines.WriteByte('\n')
	}
	b.Lines = lines.Bytes()
	return b, nil
}

// Lines writes the held lines to w, byte for byte.
func (h *held) Lines(w io.Writer) error {
	r := h.Reader(0)
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(rec.Line); err != nil {
			return err
		}
		if _, err := w.Write([]byte{'\n'}); err != nil {
			return err
		}
	}
}
