package audit

import (
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 hash of the Merkle tree of RFC 6962, section 2.1.
type Hash = tlog.Hash

// LeafHash is the hash of a record: its line without the newline.
func LeafHash(line []byte) Hash { return tlog.RecordHash(line) }

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
func (f *Frontier) Append(leaf Hash) {
	for n := bits.TrailingZeros64(^f.Size); n > 0; n-- {
		last := len(f.Hashes) - 1
		leaf = tlog.NodeHash(f.Hashes[last], leaf)
		f.Hashes = f.Hashes[:last]
	}
	f.Hashes = append(f.Hashes, leaf)
	f.Size++
}

// Root is the Merkle tree hash. That of the empty tree is SHA-256 of nothing;
// no checkpoint ever states it.
func (f Frontier) Root() Hash {
	if len(f.Hashes) == 0 {
		return emptyRoot
	}
	root := f.Hashes[len(f.Hashes)-1]
	for i := len(f.Hashes) - 2; i >= 0; i-- {
		root = tlog.NodeHash(f.Hashes[i], root)
	}
	return root
}

var emptyRoot, _ = tlog.TreeHash(0, nil)

// blockSize is how many records one entry of a chain's index stands for.
const (
	blockSize  = 256
	blockLevel = 8
)

// tree holds what a chain knows of its Merkle tree in memory: the hashes of all
// complete aligned subtrees of blockSize leaves and more, 64 bytes for every 256
// records, and the frontier of the block that is not complete. The frontier at
// any size then costs the hashing of at most blockSize-1 leaves.
type tree struct {
	levels [][]Hash // levels[k][i] is the subtree of leaves [i, i+1) << (blockLevel+k)
	block  Frontier // of the leaves after the last complete block
}

func (t *tree) append(leaf Hash) {
	t.block.Append(leaf)
	if t.block.Size < blockSize {
		return
	}
	h := t.block.Root()
	t.block = Frontier{Hashes: t.block.Hashes[:0]}
	for k := 0; ; k++ {
		if k == len(t.levels) {
			t.levels = append(t.levels, nil)
		}
		t.levels[k] = append(t.levels[k], h)
		n := len(t.levels[k])
		if n%2 == 1 {
			return
		}
		h = tlog.NodeHash(t.levels[k][n-2], t.levels[k][n-1])
	}
}

func (t *tree) size() uint64 {
	if len(t.levels) == 0 {
		return t.block.Size
	}
	return uint64(len(t.levels[0]))*blockSize + t.block.Size
}

// frontier is that of the whole tree.
func (t *tree) frontier() Frontier { return t.frontierAt(t.size(), t.block) }

// frontierAt is the frontier at size, of which rest are the leaves after the
// last complete block.
func (t *tree) frontierAt(size uint64, rest Frontier) Frontier {
	blocks := size / blockSize
	f := Frontier{Size: size, Hashes: make([]Hash, 0, bits.OnesCount64(size))}
	for k := bits.Len64(blocks) - 1; k >= 0; k-- {
		if blocks>>k&1 == 1 {
			f.Hashes = append(f.Hashes, t.levels[k][(blocks>>k)-1])
		}
	}
	f.Hashes = append(f.Hashes, rest.Hashes...)
	return f
}
