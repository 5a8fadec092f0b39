package gossip

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/gossip/internal/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A batch of the golden lines, as it is sent. A compressor's bytes may change
// with its version, so the file has the plain encoding, and the compressed one is
// only read back.
func TestGoldenBatch(t *testing.T) {
	lines, err := os.ReadFile("../audit/event/testdata/golden/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := audit.Options{Path: dir + "/log/audit.jsonl", SignedPath: dir + "/state/signed.json", Key: edKey(1)}
	if err := audit.InitSignedState(disk.OS{}, o.SignedPath, idOf(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Path, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := audit.OpenOrCreate(o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	b, err := l.Batch(77)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCodec("ops")
	if err != nil {
		t.Fatal(err)
	}
	w := c.encodeBatch(b)
	if w.GetEncoding() != wire.Encoding_ZSTD {
		t.Error("a batch of 3 long lines is not compressed")
	}
	if back, err := c.decodeBatch(w); err != nil || !bytes.Equal(back.Lines, b.Lines) {
		t.Errorf("read back: %v", err)
	}
	w.Encoding, w.Lines = wire.Encoding_PLAIN, b.Lines
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/batch.hex"
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(hex.EncodeToString(raw)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(want)) != hex.EncodeToString(raw) {
		t.Errorf("%s differs (%v): the wire format is final", path, err)
	}
}
