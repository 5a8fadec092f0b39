package segment

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"auditmesh/audit/merkle"
)

// ErrUnsigned means that no checkpoint covers what is to be proven yet.
var ErrUnsigned = errors.New("not signed yet")

// Prove makes the proof of the record at seq under the greatest checkpoint. It
// reads at most two blocks of 256 lines, and returns ErrUnsigned for a record
// beyond that. The proof is checked before it is returned.
func (h *Store) Prove(seq uint64) (merkle.Proof, error) {
	head, ok := h.Head()
	if !ok || seq >= head.Size {
		return merkle.Proof{}, fmt.Errorf("%w: record %d of %d that were signed", ErrUnsigned, seq, head.Size)
	}
	r := h.Reader(seq)
	defer r.Close()
	rec, err := r.Next()
	if err != nil {
		return merkle.Proof{}, err
	}
	hashes, err := tlog.ProveRecord(int64(head.Size), int64(seq), &treeReader{c: h.seq})
	if err != nil {
		return merkle.Proof{}, fmt.Errorf("prove record %d of %s: %w", seq, head.Log, err)
	}
	p := merkle.Proof{Index: seq, Line: bytes.Clone(rec.Line), Hashes: hashes, Checkpoint: head}
	if err := p.Check(); err != nil {
		return merkle.Proof{}, fmt.Errorf("%s was changed after it was signed; `auditmesh verify` says where: %w", r.seg.Path, err)
	}
	return p, nil
}

// ProveConsistency shows that the greatest checkpoint extends an earlier one of
// this log, whoever kept it. An error means that it does not, or that what is
// held here no longer reaches back so far (ErrRetired).
func (h *Store) ProveConsistency(old merkle.Checkpoint) (merkle.Consistency, error) {
	head, ok := h.Head()
	if !ok || old.Size > head.Size {
		return merkle.Consistency{}, fmt.Errorf("%w here: the checkpoint states %d records, %d are signed", ErrUnsigned, old.Size, head.Size)
	}
	hashes, err := tlog.ProveTree(int64(head.Size), int64(old.Size), &treeReader{c: h.seq})
	if err != nil {
		return merkle.Consistency{}, err
	}
	c := merkle.Consistency{Old: old, New: head, Hashes: hashes}
	return c, c.Check()
}

// treeReader has the hashes of a log's Merkle tree, as tlog asks for them. Those
// beneath a block are made from its lines; two blocks are kept.
type treeReader struct {
	c      *Sequence
	blocks map[uint64]map[subtreeAt]merkle.Hash
}

type subtreeAt struct {
	level int
	index uint64
}

// ReadHashes is that of tlog.HashReader.
func (n *treeReader) ReadHashes(indexes []int64) ([]merkle.Hash, error) {
	list := make([]merkle.Hash, len(indexes))
	for i, x := range indexes {
		level, index := tlog.SplitStoredHashIndex(x)
		at := subtreeAt{level, uint64(index)}
		h, ok, err := n.node(at)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("the hash of records %d to %d: %w", at.index<<level, (at.index+1)<<level-1, ErrRetired)
		}
		list[i] = h
	}
	return list, nil
}

func (n *treeReader) node(at subtreeAt) (merkle.Hash, bool, error) {
	if at.level >= merkle.BlockLevel {
		n.c.mu.RLock()
		defer n.c.mu.RUnlock()
		h, ok := n.c.tree.Node(at.level, at.index)
		return h, ok, nil
	}
	b := at.index >> (merkle.BlockLevel - at.level)
	block, ok := n.blocks[b]
	if !ok {
		var err error
		if block, err = n.c.block(b); err != nil {
			return merkle.Hash{}, false, err
		}
		if n.blocks == nil {
			n.blocks = make(map[uint64]map[subtreeAt]merkle.Hash)
		}
		n.blocks[b] = block
	}
	h, ok := block[at]
	return h, ok, nil
}

// block has the hashes of all complete subtrees within a block.
func (c *Sequence) block(b uint64) (map[subtreeAt]merkle.Hash, error) {
	from, size := b*merkle.BlockSize, c.Size()
	all := make(map[subtreeAt]merkle.Hash)
	c.mu.RLock()
	known := c.tree.Rest(from)
	c.mu.RUnlock()
	at := from
	for _, n := range known.Nodes() {
		all[subtreeAt{n.Level, at >> n.Level}] = n.Hash
		at += 1 << n.Level
	}
	r := NewReader(c, known.End())
	defer r.Close()
	var lh LineHasher
	for known.End() < min(from+merkle.BlockSize, size) {
		rec, err := r.Next()
		if err != nil {
			return nil, err
		}
		known.Append(merkle.Subtree{Hash: lh.Line(rec.Ended()).Hash}, func(s merkle.Subtree, index uint64) {
			all[subtreeAt{s.Level, index}] = s.Hash
		})
	}
	return all, nil
}
