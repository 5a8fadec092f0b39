package merkle

import (
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Subtree is the hash of a complete subtree of 1<<Level leaves.
type Subtree struct {
	Level int
	Hash  Hash
}

// Range is a run of consecutive leaves, as the fewest complete subtrees that make
// it up: the "compact range" of transparency-dev/merkle. A range that begins at 0
// has the tree's root. It is where subtrees are merged, and the only place. The
// zero value is the empty range at 0. It is used by one goroutine.
type Range struct {
	end   uint64 // seq after the last leaf
	nodes []Subtree
}

// RangeAt is the empty range that begins at a leaf.
func RangeAt(begin uint64) Range { return Range{end: begin} }

// Reset makes the range an empty one that begins at a leaf, and keeps its memory.
func (r *Range) Reset(begin uint64) { r.end, r.nodes = begin, r.nodes[:0] }

// End is the seq after the range's last leaf.
func (r *Range) End() uint64 { return r.end }

// Nodes are the subtrees, left to right, valid until the range changes.
func (r *Range) Nodes() []Subtree { return r.nodes }

// AppendLeaf takes in the leaf that follows.
func (r *Range) AppendLeaf(leaf Hash) { r.Append(Subtree{Hash: leaf}, nil) }

// Append takes in the subtree that follows; End is a multiple of its leaves.
// made, if not nil, is told each subtree that is complete now, the given one
// first: the subtree at index covers the leaves [index, index+1) << Level.
func (r *Range) Append(s Subtree, made func(s Subtree, index uint64)) {
	index := r.end >> s.Level
	r.end += 1 << s.Level
	for {
		if made != nil {
			made(s, index)
		}
		last := len(r.nodes) - 1
		if index&1 == 0 || last < 0 || r.nodes[last].Level != s.Level {
			break
		}
		s = Subtree{s.Level + 1, nodeHash(r.nodes[last].Hash, s.Hash)}
		r.nodes = r.nodes[:last]
		index >>= 1
	}
	r.nodes = append(r.nodes, s)
}

// Root binds all leaves of the range. Of a range that begins at 0 it is the
// Merkle tree hash, of a complete subtree that subtree's.
func (r *Range) Root() Hash {
	if len(r.nodes) == 0 {
		return emptyRoot
	}
	root := r.nodes[len(r.nodes)-1].Hash
	for i := len(r.nodes) - 2; i >= 0; i-- {
		root = nodeHash(r.nodes[i].Hash, root)
	}
	return root
}

// Frontier is the range's state, of a range that begins at 0.
func (r *Range) Frontier() Frontier {
	f := Frontier{Size: r.end, Hashes: make([]Hash, len(r.nodes))}
	for i, n := range r.nodes {
		f.Hashes[i] = n.Hash
	}
	return f
}

// emptyRoot is the root of no leaves. No checkpoint ever states it.
var emptyRoot, _ = tlog.TreeHash(0, nil)

// Frontier is the Merkle frontier of a tree: the hashes of the complete
// subtrees that its size decomposes into, largest first. It is all that is
// needed to go on with the tree, and to make its root. The zero value is the
// empty tree. It is a value: nothing changes its hashes.
type Frontier struct {
	Size   uint64
	Hashes []Hash
}

// Check says whether the number of hashes is the one that Size calls for.
func (f Frontier) Check() error {
	if want := bits.OnesCount64(f.Size); len(f.Hashes) != want {
		return fmt.Errorf("a frontier of size %d has %d hashes, not %d", f.Size, want, len(f.Hashes))
	}
	return nil
}

// Equal says whether both are the same tree.
func (f Frontier) Equal(g Frontier) bool {
	return f.Size == g.Size && slices.Equal(f.Hashes, g.Hashes)
}

// Range is the range from 0 that goes on from the frontier, which passed Check.
func (f Frontier) Range() Range {
	r := Range{end: f.Size, nodes: make([]Subtree, 0, len(f.Hashes)+1)}
	level := bits.Len64(f.Size)
	for _, h := range f.Hashes {
		for level--; f.Size>>level&1 == 0; level-- {
		}
		r.nodes = append(r.nodes, Subtree{level, h})
	}
	return r
}

// Root is the Merkle tree hash. That of the empty tree is SHA-256 of nothing.
func (f Frontier) Root() Hash {
	r := f.Range()
	return r.Root()
}
