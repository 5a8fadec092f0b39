package audit

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file that holds a final format.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want)
	}
}

// What is on the disk after a log with the golden lines was opened and closed:
// the segment's head, the checkpoint, the last-signed state.
func TestGoldenFiles(t *testing.T) {
	lines, err := os.ReadFile("event/testdata/golden/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions(t, 1)
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Path, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, o)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"segment.json":     filepath.Dir(o.Path) + "/audit-00000000000000000000.segment",
		"checkpoints.note": filepath.Dir(o.Path) + "/audit.checkpoints",
		"last-signed.json": o.SignedPath,
	} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, raw)
	}
}
