package merkle

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Subtree is the hash of 1<<level leaves.
type Subtree struct {
	Level int
	Hash  Hash
}

// CompactRange is a run of leaves as the fewest subtrees that make it up, left to
// right: the "compact range" of transparency-dev/merkle.
type CompactRange struct {
	End   uint64 // seq after the last leaf
	Nodes []Subtree
}

// Add takes in the subtree that follows, which is aligned to its size.
func (r *CompactRange) Add(n Subtree) {
	start := r.End
	r.End += 1 << n.Level
	for len(r.Nodes) > 0 {
		left := r.Nodes[len(r.Nodes)-1]
		if left.Level != n.Level || start>>n.Level%2 == 0 {
			break
		}
		start -= 1 << n.Level
		n = Subtree{n.Level + 1, NodeHash(left.Hash, n.Hash)}
		r.Nodes = r.Nodes[:len(r.Nodes)-1]
	}
	r.Nodes = append(r.Nodes, n)
}

// Root binds all leaves of the range; for a whole block it is its subtree.
func (r *CompactRange) Root() Hash {
	root := r.Nodes[len(r.Nodes)-1].Hash
	for i := len(r.Nodes) - 2; i >= 0; i-- {
		root = NodeHash(r.Nodes[i].Hash, root)
	}
	return root
}

// Hash is a SHA-256 hash of the Merkle tree of RFC 6962, section 2.1.
type Hash = tlog.Hash

// LeafHash is the hash of a record: its line without the newline.
func LeafHash(line []byte) Hash { return tlog.RecordHash(line) }

var leafPrefix = []byte{0} // RFC 6962, section 2.1

// LeafHasher makes leaf hashes without garbage. The zero value is ready. It is
// used by one goroutine.
type LeafHasher struct {
	h   hash.Hash
	sum [sha256.Size]byte
}

// Hash is LeafHash.
func (l *LeafHasher) Hash(line []byte) Hash {
	if l.h == nil {
		l.h = sha256.New()
	}
	l.h.Reset()
	l.h.Write(leafPrefix)
	l.h.Write(line)
	l.h.Sum(l.sum[:0])
	return l.sum
}

// LeafHashInPlace is LeafHash of buf[start:end] without a copy: the byte before
// start stands in for the prefix meanwhile. The caller alone uses buf, and start
// is not 0.
func LeafHashInPlace(buf []byte, start, end int) Hash {
	before := buf[start-1]
	buf[start-1] = leafPrefix[0]
	h := sha256.Sum256(buf[start-1 : end])
	buf[start-1] = before
	return h
}

// NodeHash is tlog.NodeHash without its garbage.
func NodeHash(left, right Hash) Hash {
	var buf [1 + 2*sha256.Size]byte
	buf[0] = 1 // RFC 6962, section 2.1
	copy(buf[1:], left[:])
	copy(buf[1+sha256.Size:], right[:])
	return sha256.Sum256(buf[:])
}

// Frontier is the Merkle frontier of a tree: the hashes of the complete
// subtrees that its size decomposes into, largest first. It is all that is
// needed to append, and to make the root. (The "compact range" from zero of
// transparency-dev/merkle.) The zero value is the empty tree.
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

// Clone returns a frontier that shares nothing with f.
func (f Frontier) Clone() Frontier {
	return Frontier{f.Size, append([]Hash(nil), f.Hashes...)}
}

// Equal says whether both are the same tree.
func (f Frontier) Equal(g Frontier) bool {
	if f.Size != g.Size || len(f.Hashes) != len(g.Hashes) {
		return false
	}
	for i := range f.Hashes {
		if f.Hashes[i] != g.Hashes[i] {
			return false
		}
	}
	return true
}

// Append adds one leaf.
func (f *Frontier) Append(leaf Hash) { f.appendSubtree(0, leaf) }

// appendSubtree adds a complete subtree of 1<<level leaves. Size is a multiple
// of that.
func (f *Frontier) appendSubtree(level int, h Hash) {
	for n := bits.TrailingZeros64(^(f.Size >> level)); n > 0; n-- {
		last := len(f.Hashes) - 1
		h = NodeHash(f.Hashes[last], h)
		f.Hashes = f.Hashes[:last]
	}
	f.Hashes = append(f.Hashes, h)
	f.Size += 1 << level
}

// Root is the Merkle tree hash. That of the empty tree is SHA-256 of nothing;
// no checkpoint ever states it.
func (f Frontier) Root() Hash {
	if len(f.Hashes) == 0 {
		return emptyRoot
	}
	root := f.Hashes[len(f.Hashes)-1]
	for i := len(f.Hashes) - 2; i >= 0; i-- {
		root = NodeHash(f.Hashes[i], root)
	}
	return root
}

var emptyRoot, _ = tlog.TreeHash(0, nil)

// blockSize is how many records one entry of a chain's index stands for.
const (
	BlockSize  = 256
	BlockLevel = 8
)

// Tree holds what a chain knows of its Merkle tree in memory: the hashes of the
// complete aligned subtrees of blockSize leaves and more, 64 bytes for every 256
// records, and the frontier of the block that is not complete. The frontier at
// any size then costs the hashing of at most blockSize-1 leaves.
//
// A tree may begin at a frontier: then it knows of the leaves before it what the
// frontier says, which is what proofs of the leaves after it need.
type Tree struct {
	Start  Frontier
	levels []level
	block  Frontier // of the leaves after the last complete block
}

// level has the hashes of the subtrees [first+i, first+i+1) << (blockLevel+k).
// first is even: a left sibling is known where its right one is.
type level struct {
	first  uint64
	hashes []Hash
}

// NewTree is the tree that goes on from a frontier.
func NewTree(start Frontier) Tree {
	t := Tree{Start: start}
	blocks := start.Size / BlockSize
	hashes := start.Hashes
	t.levels = make([]level, bits.Len64(blocks))
	for k := len(t.levels) - 1; k >= 0; k-- {
		t.levels[k].first = blocks >> k
		if blocks>>k&1 == 1 {
			t.levels[k] = level{blocks>>k - 1, []Hash{hashes[0]}}
			hashes = hashes[1:]
		}
	}
	t.block = Frontier{start.Size % BlockSize, append([]Hash(nil), hashes...)}
	return t
}

func (t *Tree) append(leaf Hash) { t.AppendSubtree(0, leaf) }

// AppendSubtree adds a complete aligned subtree of 1<<k leaves, a block at most.
func (t *Tree) AppendSubtree(k int, h Hash) {
	t.block.appendSubtree(k, h)
	if t.block.Size < BlockSize {
		return
	}
	h = t.block.Root()
	t.block = Frontier{Hashes: t.block.Hashes[:0]}
	for k := 0; ; k++ {
		if k == len(t.levels) {
			t.levels = append(t.levels, level{})
		}
		lv := &t.levels[k]
		lv.hashes = append(lv.hashes, h)
		n := len(lv.hashes)
		if (lv.first+uint64(n))%2 == 1 {
			return
		}
		h = NodeHash(lv.hashes[n-2], h)
	}
}

func (t *Tree) Size() uint64 {
	if len(t.levels) == 0 {
		return t.block.Size
	}
	return (t.levels[0].first+uint64(len(t.levels[0].hashes)))*BlockSize + t.block.Size
}

// Node is the hash of the subtree [i, i+1) << (blockLevel+k), false if it is not
// known: not complete, or before the tree's start.
func (t *Tree) Node(k int, i uint64) (Hash, bool) {
	if k >= len(t.levels) || i < t.levels[k].first || i-t.levels[k].first >= uint64(len(t.levels[k].hashes)) {
		return Hash{}, false
	}
	return t.levels[k].hashes[i-t.levels[k].first], true
}

// Frontier is that of the whole tree.
func (t *Tree) Frontier() Frontier { return t.FrontierAt(t.Size(), t.block) }

// FrontierAt is the frontier at size, of which rest are the leaves after the
// last complete block. size is not below the start's.
func (t *Tree) FrontierAt(size uint64, rest Frontier) Frontier {
	blocks := size / BlockSize
	f := Frontier{Size: size, Hashes: make([]Hash, 0, bits.OnesCount64(size))}
	for k := bits.Len64(blocks) - 1; k >= 0; k-- {
		if blocks>>k&1 == 1 {
			h, _ := t.Node(k, blocks>>k-1)
			f.Hashes = append(f.Hashes, h)
		}
	}
	f.Hashes = append(f.Hashes, rest.Hashes...)
	return f
}

// RestAt is what is known of the block at size before any of its lines is read:
// nothing, or the start's part of it.
func (t *Tree) RestAt(size uint64) Frontier {
	if size/BlockSize != t.Start.Size/BlockSize {
		return Frontier{}
	}
	whole := bits.OnesCount64(t.Start.Size / BlockSize)
	return Frontier{t.Start.Size % BlockSize, append([]Hash(nil), t.Start.Hashes[whole:]...)}
}
