package integration

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// What one node proves of another's log is checked by the Go checksum database's
// packages alone, with nothing but the other's peer id: records, and that the
// log of an earlier checkpoint was only added to.
func TestProofsAreCheckedBySumDB(t *testing.T) {
	nodes := newMesh(t, "a", "b")
	a, b := nodes[0], nodes[1]
	a.start()
	b.start()
	a.appendN("early", 300)
	held := func() bool { return converged(nodes...) && b.deep().Size == 0 && len(b.deep().Vector) == 1 }
	eventually(t, waitLimit, "b holds a's records", held)
	early := b.must("proof", "head", "--node", a.id)
	a.appendN("late", 300)
	eventually(t, waitLimit, "b holds a's later records", held)

	key := verifierOf(t, a.id)
	lines := strings.Split(strings.TrimSuffix(a.ownLines(), "\n"), "\n")
	for _, seq := range []int{0, 1, 255, 256, 299, 300, 599} {
		text := b.must("proof", fmt.Sprint(seq), "--node", a.id)
		head, signed, _ := strings.Cut(text, "\n\n")
		fields := strings.Split(head, "\n")
		if fields[0] != "c2sp.org/tlog-proof@v1" || fields[2] != fmt.Sprintf("index %d", seq) {
			t.Fatalf("not a proof of record %d:\n%s", seq, text)
		}
		line, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fields[1], "extra "))
		if err != nil || string(line) != lines[seq] {
			t.Errorf("record %d: %s, %v", seq, line, err)
		}
		tree := openTree(t, signed, key)
		if err := tlog.CheckRecord(tlog.RecordProof(hashes(t, fields[3:])), tree.N, tree.Hash, int64(seq), tlog.RecordHash(line)); err != nil {
			t.Errorf("record %d: %v", seq, err)
		}
		file := filepath.Join(t.TempDir(), "proof")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := a.must("proof", "check", file); !strings.Contains(out, a.id) || !strings.HasSuffix(out, lines[seq]+"\n") {
			t.Errorf("proof check: %s", out)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(text, "extra ey", "extra ez", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := a.command("proof", "check", file).CombinedOutput(); err == nil || !strings.Contains(string(out), "not proven: the line is not record") {
			t.Errorf("a changed record was taken: %s", out)
		}
	}
	file := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.WriteFile(file, []byte(early), 0o600); err != nil {
		t.Fatal(err)
	}
	before := openTree(t, early, key)
	for _, n := range nodes {
		head, signed, _ := strings.Cut(n.must("proof", "since", file), "\n\n")
		fields := strings.Split(head, "\n")
		tree := openTree(t, signed, key)
		if fields[0] != fmt.Sprintf("old %d", before.N) || tree.N != 600 {
			t.Errorf("%s proves from %s to %d", n.name, fields[0], tree.N)
		}
		if err := tlog.CheckTree(tlog.TreeProof(hashes(t, fields[1:])), tree.N, tree.Hash, before.N, before.Hash); err != nil {
			t.Errorf("%s: %v", n.name, err)
		}
	}
	if out, err := b.command("proof", "600", "--node", a.id).CombinedOutput(); err == nil || !strings.Contains(string(out), "not signed yet") {
		t.Errorf("a record beyond the end: %s", out)
	}
	if out, err := b.command("proof", "0").CombinedOutput(); err == nil || !strings.Contains(string(out), "no such log") {
		t.Errorf("b has no record of its own: %s", out)
	}
}

func verifierOf(t *testing.T, id string) note.Verifier {
	t.Helper()
	p, err := peer.Decode(id)
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.ExtractPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.Raw()
	if err != nil {
		t.Fatal(err)
	}
	text, err := note.NewEd25519VerifierKey("auditmesh/"+id, ed25519.PublicKey(raw))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// openTree checks a checkpoint's signature, and reads its size and root.
func openTree(t *testing.T, text string, key note.Verifier) tlog.Tree {
	t.Helper()
	n, err := note.Open([]byte(text), note.VerifierList(key))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	var origin string
	var size int64
	var root string
	if _, err := fmt.Sscanf(n.Text, "%s\n%d\n%s\n", &origin, &size, &root); err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: hashes(t, []string{root})[0]}
}

func hashes(t *testing.T, lines []string) (list []tlog.Hash) {
	t.Helper()
	for _, line := range lines {
		h, err := tlog.ParseHash(line)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, h)
	}
	return list
}
