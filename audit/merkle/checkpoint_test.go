package merkle

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// testKey is a key that is the same in every run.
func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func testPeer(n byte) string { return PeerID(testKey(n).Public().(ed25519.PublicKey)) }

func TestCheckpointRoundTrip(t *testing.T) {
	key := testKey(7)
	signer, err := NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	want, err := SignCheckpoint(signer, Checkpoint{Log: LogName{testPeer(7), leaf(1)}, Size: 12, Root: leaf(2)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCheckpoint(want.Note)
	if err != nil || got.Log != want.Log || got.Size != want.Size || got.Root != want.Root {
		t.Fatalf("%+v, %v", got, err)
	}
	lines := strings.Split(string(want.Note), "\n")
	sig := lines[4]
	other, _ := NewSigner(testKey(8))
	forged, err := SignCheckpoint(other, Checkpoint{Log: want.Log, Size: 12, Root: leaf(2)})
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
		"long":              string(want.Note) + strings.Repeat("x", MaxNote),
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
	signer, _ := NewSigner(testKey(7))
	c, _ := SignCheckpoint(signer, Checkpoint{Log: LogName{testPeer(7), leaf(1)}, Size: 12, Root: leaf(2)})
	f.Add(c.Note)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ParseCheckpoint(raw)
		if err == nil && !bytes.Equal(got.Note, raw) {
			t.Fatalf("%q was read as %q", raw, got.Note)
		}
	})
}

func FuzzParseProof(f *testing.F) {
	var stored []Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (list []Hash, err error) {
		for _, i := range indexes {
			list = append(list, stored[i])
		}
		return list, nil
	})
	const n, seq = 5, 3
	line := func(i int64) []byte { return fmt.Appendf(nil, `{"event":"x-%d"}`, i) }
	for i := range int64(n) {
		more, err := tlog.StoredHashes(i, line(i), reader)
		if err != nil {
			f.Fatal(err)
		}
		stored = append(stored, more...)
	}
	root, err := tlog.TreeHash(n, reader)
	if err != nil {
		f.Fatal(err)
	}
	path, err := tlog.ProveRecord(n, seq, reader)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := NewSigner(testKey(7))
	if err != nil {
		f.Fatal(err)
	}
	c, err := SignCheckpoint(signer, Checkpoint{Log: LogName{testPeer(7), LeafHash(line(0))}, Size: n, Root: root})
	if err != nil {
		f.Fatal(err)
	}
	raw := Proof{Index: seq, Line: line(seq), Hashes: path, Checkpoint: c}.Marshal()
	if _, err := ParseProof(raw); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := ParseProof(raw)
		if err == nil && !bytes.Equal(p.Marshal(), raw) {
			t.Fatalf("%q was read as %q", raw, p.Marshal())
		}
	})
}
