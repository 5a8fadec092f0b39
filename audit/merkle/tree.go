package merkle

import "math/bits"

// A block is a complete aligned subtree of BlockSize leaves: what a Tree keeps the
// hashes of, and what an entry of a segment's index stands for.
const (
	BlockSize  = 1 << BlockLevel
	BlockLevel = 8
)

// Tree is what a log keeps of its Merkle tree in memory: the hashes of all blocks
// and of the subtrees above them, 64 bytes for every 256 records, and the
// frontier. The frontier at any earlier size then costs the hashing of at most
// BlockSize-1 leaves.
//
// A tree may begin at a frontier. Then it knows of the leaves before that what the
// frontier says, which is what proofs of the leaves after it need. The zero value
// is the empty tree. It is not safe for concurrent use.
type Tree struct {
	start  Frontier
	all    Range // from 0
	levels []level
}

// level has the hashes of the subtrees [first+i, first+i+1) << (BlockLevel+k).
// first is even: a left sibling is known where its right one is.
type level struct {
	first  uint64
	hashes []Hash
}

// NewTree is the tree that goes on from a frontier, which passed Check.
func NewTree(start Frontier) Tree {
	t := Tree{start: start, all: start.Range()}
	blocks := start.Size / BlockSize
	t.levels = make([]level, bits.Len64(blocks))
	for k := range t.levels {
		t.levels[k].first = blocks >> k
	}
	for _, n := range t.all.Nodes() {
		if k := n.Level - BlockLevel; k >= 0 {
			t.levels[k] = level{blocks>>k - 1, []Hash{n.Hash}}
		}
	}
	return t
}

// Append adds the complete aligned subtree that follows, of a block at most.
func (t *Tree) Append(s Subtree) {
	t.all.Append(s, func(s Subtree, _ uint64) {
		k := s.Level - BlockLevel
		if k < 0 {
			return
		}
		if k == len(t.levels) {
			t.levels = append(t.levels, level{})
		}
		t.levels[k].hashes = append(t.levels[k].hashes, s.Hash)
	})
}

// Forget moves the tree's start: nobody asks for frontiers below it any more.
func (t *Tree) Forget(start Frontier) { t.start = start }

// Size is how many leaves the tree has.
func (t *Tree) Size() uint64 { return t.all.End() }

// Node is the hash of the subtree at index, of 1<<level leaves and at least a
// block, false if it is not known: not complete, or before the tree's start.
func (t *Tree) Node(lv int, index uint64) (Hash, bool) {
	k := lv - BlockLevel
	if k >= len(t.levels) || index < t.levels[k].first || index-t.levels[k].first >= uint64(len(t.levels[k].hashes)) {
		return Hash{}, false
	}
	return t.levels[k].hashes[index-t.levels[k].first], true
}

// Frontier is that of the whole tree.
func (t *Tree) Frontier() Frontier { return t.all.Frontier() }

// Rest is what is known of the block at size before any of its lines is read:
// nothing, or what the tree's start says of it. FrontierAt wants it, with the
// leaves up to size appended.
func (t *Tree) Rest(size uint64) Range {
	if size/BlockSize != t.start.Size/BlockSize {
		return RangeAt(size / BlockSize * BlockSize)
	}
	r := t.start.Range()
	whole := bits.OnesCount64(t.start.Size / BlockSize)
	return Range{end: r.end, nodes: r.nodes[whole:]}
}

// FrontierAt is the frontier at an earlier size, not below the start's. rest is
// Rest(size) with the leaves up to size.
func (t *Tree) FrontierAt(rest Range) Frontier {
	blocks := rest.end / BlockSize
	f := Frontier{Size: rest.end, Hashes: make([]Hash, 0, bits.OnesCount64(rest.end))}
	for k := bits.Len64(blocks) - 1; k >= 0; k-- {
		if blocks>>k&1 == 1 {
			h, _ := t.Node(k+BlockLevel, blocks>>k-1)
			f.Hashes = append(f.Hashes, h)
		}
	}
	for _, n := range rest.nodes {
		f.Hashes = append(f.Hashes, n.Hash)
	}
	return f
}
