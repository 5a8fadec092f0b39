package audit

import (
	"bytes"
	"strings"
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
	var tr tree
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
		if f.Root() != want || f.Check() != nil || !tr.frontier().Equal(f) {
			t.Fatalf("size %d: root %s, want %s", i+1, f.Root(), want)
		}
	}
	for size := range uint64(n) {
		var rest Frontier
		for i := size / blockSize * blockSize; i < size; i++ {
			rest.Append(leaf(i))
		}
		if !tr.frontierAt(size, rest).Equal(history[size]) {
			t.Fatalf("frontier at %d differs", size)
		}
	}
	if (Frontier{}).Root().String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Error("the empty tree's root is not SHA-256 of nothing")
	}
}

func TestCheckpointRoundTrip(t *testing.T) {
	key := testKey(7)
	signer, err := newSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	want, err := signCheckpoint(signer, Checkpoint{Log: LogName{PeerID(key.Public().(edPublic)), leaf(1)}, Size: 12, Root: leaf(2)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCheckpoint(want.Note)
	if err != nil || got.Log != want.Log || got.Size != want.Size || got.Root != want.Root {
		t.Fatalf("%+v, %v", got, err)
	}
	lines := strings.Split(string(want.Note), "\n")
	sig := lines[4]
	other, _ := newSigner(testKey(8))
	forged, err := signCheckpoint(other, Checkpoint{Log: want.Log, Size: 12, Root: leaf(2)})
	if err != nil {
		t.Fatal(err)
	}
	looseBits := sig[:len(sig)-2] + string(sig[len(sig)-2]+1) + "="
	if !strings.HasSuffix(sig, "=") {
		t.Fatalf("signature %q has no unused bits to test with", sig)
	}
	for name, bad := range map[string]string{
		"empty":             "",
		"size zero":         strings.Replace(string(want.Note), "\n12\n", "\n0\n", 1),
		"leading zero":      strings.Replace(string(want.Note), "\n12\n", "\n012\n", 1),
		"another size":      strings.Replace(string(want.Note), "\n12\n", "\n13\n", 1),
		"signed by another": string(forged.Note),
		"two signatures":    string(want.Note) + sig + "\n",
		"unused bits":       strings.Replace(string(want.Note), sig, looseBits, 1),
		"no newline":        strings.TrimSuffix(string(want.Note), "\n"),
		"long":              string(want.Note) + strings.Repeat("x", maxNote),
	} {
		if _, err := ParseCheckpoint([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for i := range want.Note {
		bad := bytes.Clone(want.Note)
		bad[i] ^= 1
		if _, err := ParseCheckpoint(bad); err == nil {
			t.Errorf("a flipped bit in byte %d (%q) went unseen", i, want.Note[i])
		}
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	signer, _ := newSigner(testKey(7))
	c, _ := signCheckpoint(signer, Checkpoint{Log: LogName{PeerID(testKey(7).Public().(edPublic)), leaf(1)}, Size: 12, Root: leaf(2)})
	f.Add(c.Note)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ParseCheckpoint(raw)
		if err == nil && !bytes.Equal(got.Note, raw) {
			t.Fatalf("%q was read as %q", raw, got.Note)
		}
	})
}
