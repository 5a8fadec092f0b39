package merkle

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func leaf(i uint64) Hash { return LeafHash([]byte{byte(i), byte(i >> 8), byte(i >> 16)}) }

// The frontier's root is the tree hash of the reference implementation at every
// size, and the tree gives the frontier of every earlier size.
func TestFrontierAgainstTlog(t *testing.T) {
	const n = 2100 // beyond eight blocks
	var stored []Hash
	reader := tlog.HashReaderFunc(func(idx []int64) ([]Hash, error) {
		out := make([]Hash, len(idx))
		for i, x := range idx {
			out[i] = stored[x]
		}
		return out, nil
	})
	var tr Tree
	var f Frontier
	var history []Frontier
	for i := range uint64(n) {
		history = append(history, f.Clone())
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), leaf(i), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		f.Append(leaf(i))
		tr.append(leaf(i))
		want, err := tlog.TreeHash(int64(i+1), reader)
		if err != nil {
			t.Fatal(err)
		}
		if f.Root() != want || f.Check() != nil || !tr.Frontier().Equal(f) {
			t.Fatalf("size %d: root %s, want %s", i+1, f.Root(), want)
		}
	}
	for size := range uint64(n) {
		var rest Frontier
		for i := size / BlockSize * BlockSize; i < size; i++ {
			rest.Append(leaf(i))
		}
		if !tr.FrontierAt(size, rest).Equal(history[size]) {
			t.Fatalf("frontier at %d differs", size)
		}
	}
	if (Frontier{}).Root().String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Error("the empty tree's root is not SHA-256 of nothing")
	}
}
