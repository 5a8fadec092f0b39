package merkle

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func leaf(i uint64) Hash { return LeafHash([]byte{byte(i), byte(i >> 8), byte(i >> 16)}) }

// reference is the tree as golang.org/x/mod/sumdb/tlog makes it.
type reference struct{ stored []Hash }

func (r *reference) ReadHashes(indexes []int64) ([]Hash, error) {
	list := make([]Hash, len(indexes))
	for i, x := range indexes {
		list[i] = r.stored[x]
	}
	return list, nil
}

func (r *reference) append(t *testing.T, i uint64) {
	t.Helper()
	more, err := tlog.StoredHashesForRecordHash(int64(i), leaf(i), r)
	if err != nil {
		t.Fatal(err)
	}
	r.stored = append(r.stored, more...)
}

func (r *reference) root(t *testing.T, size uint64) Hash {
	t.Helper()
	root, err := tlog.TreeHash(int64(size), r)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func (r *reference) subtree(level int, index uint64) Hash {
	return r.stored[tlog.StoredHashIndex(level, int64(index))]
}

// beyond eight blocks, so that there are levels above them.
const manyLeaves = 2100

// frontiers are those of each size, which have the root of the reference.
func frontiers(t *testing.T) (*reference, []Frontier) {
	t.Helper()
	ref := new(reference)
	var r Range
	list := []Frontier{{}}
	for i := range uint64(manyLeaves) {
		ref.append(t, i)
		r.AppendLeaf(leaf(i))
		f := r.Frontier()
		if want := ref.root(t, i+1); f.Root() != want || r.Root() != want || f.Check() != nil || f.Size != i+1 {
			t.Fatalf("size %d: root %s, want %s", i+1, f.Root(), want)
		}
		list = append(list, f)
	}
	return ref, list
}

func TestRangeAgainstTlog(t *testing.T) {
	_, list := frontiers(t)
	for _, f := range list {
		r := f.Range()
		if !r.Frontier().Equal(f) {
			t.Fatalf("the range of the frontier of %d leaves gives another one", f.Size)
		}
	}
	if (Frontier{}).Root().String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Error("the empty tree's root is not SHA-256 of nothing")
	}
	if err := (Frontier{Size: 3, Hashes: make([]Hash, 1)}).Check(); err == nil {
		t.Error("a frontier of 3 leaves with one hash passed")
	}
}

// Append tells of every subtree that becomes complete, once, where it stands.
func TestRangeTellsWhatItMakes(t *testing.T) {
	ref, _ := frontiers(t)
	for _, begin := range []uint64{0, 256, 1024} {
		r, told := RangeAt(begin), 0
		for i := begin; i < manyLeaves; i++ {
			r.Append(Subtree{Hash: leaf(i)}, func(s Subtree, index uint64) {
				told++
				if s.Hash != ref.subtree(s.Level, index) {
					t.Fatalf("from %d: the subtree of level %d at %d differs", begin, s.Level, index)
				}
			})
		}
		nodes := 0
		for level := range 12 {
			for index := uint64(0); (index+1)<<level <= manyLeaves; index++ {
				if index<<level >= begin {
					nodes++
				}
			}
		}
		if told != nodes {
			t.Errorf("from %d: %d subtrees were told, there are %d", begin, told, nodes)
		}
	}
}

// A tree, wherever it begins, has the frontier of every later size, and the
// subtrees of a block and more from there on; it also takes whole blocks.
func TestTreeAgainstTlog(t *testing.T) {
	ref, history := frontiers(t)
	for _, begin := range []uint64{0, 1, 255, 256, 257, 700, 768, 1024, 1500, 2047, 2048} {
		tr := NewTree(history[begin])
		for i := begin; i < manyLeaves; {
			if i%BlockSize == 0 && i/BlockSize%2 == 1 && i+BlockSize <= manyLeaves {
				tr.Append(Subtree{BlockLevel, ref.subtree(BlockLevel, i/BlockSize)})
				i += BlockSize
				continue
			}
			tr.Append(Subtree{Hash: leaf(i)})
			i++
			if !tr.Frontier().Equal(history[i]) || tr.Size() != i {
				t.Fatalf("from %d: the frontier at %d differs", begin, i)
			}
		}
		for size := begin; size <= manyLeaves; size++ {
			rest := tr.Rest(size)
			for i := rest.End(); i < size; i++ {
				rest.AppendLeaf(leaf(i))
			}
			if !tr.FrontierAt(rest).Equal(history[size]) {
				t.Fatalf("from %d: the frontier at %d differs", begin, size)
			}
		}
		for level := BlockLevel; level < 12; level++ {
			for index := uint64(0); (index+1)<<level <= manyLeaves; index++ {
				h, ok := tr.Node(level, index)
				if !ok && index<<level >= begin {
					t.Fatalf("from %d: the subtree of level %d at %d is not known", begin, level, index)
				}
				if ok && h != ref.subtree(level, index) {
					t.Fatalf("from %d: the subtree of level %d at %d differs", begin, level, index)
				}
			}
		}
	}
}
