package mirror

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"auditmesh/audit"
	"auditmesh/audit/disk"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The digests and the view hash of x0x's lines and one of each of the mesh's own
// events, and the items that the hash is made of: all of them final.
func TestGoldenView(t *testing.T) {
	lines, err := os.ReadFile("../audit/event/testdata/golden/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	mesh, err := os.ReadFile("../audit/event/testdata/golden/mesh.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	// Review and removal of the tasks of the golden lines themselves.
	own := strings.ReplaceAll(string(mesh), "01020000000000000000000000000000", "00000000000000000000000000000000")
	own = strings.ReplaceAll(own, "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5", peerOf(1))
	dir := t.TempDir()
	o := logOptions(dir, 1)
	if err := audit.InitSignedState(disk.OS{}, o.SignedPath, peerOf(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Path, append(lines, own...), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := audit.OpenOrCreate(o)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r := &replica{dir: dir, log: log}
	r.open(t)
	defer r.m.Close()
	r.fold(t)
	st, hash, _, err := r.m.Deep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("digest   " + hex.EncodeToString(st.Digest[:]) + "\n")
	out.WriteString("holdings " + hex.EncodeToString(st.Holdings[:]) + "\n")
	out.WriteString("view     " + hex.EncodeToString(hash[:]) + "\n")
	for _, id := range []string{"00000000000000000000000000000000", "0000000000000034", "0000000000000044"} {
		items, err := r.m.Task(id, 9)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if err := writeItem(&out, it); err != nil {
				t.Fatal(err)
			}
		}
	}
	const path = "testdata/view.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != out.String() {
		t.Errorf("%s differs (%v): the fold's rules are final\n%s", path, err, &out)
	}
}
