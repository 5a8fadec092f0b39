package segment

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/merkle"
)

// An index is believed only as far as it is well-formed, and reading it never
// fails otherwise than it says.
func FuzzIndex(f *testing.F) {
	d := disktest.NewDisk()
	w := newIndexWriter(d, "/index", 0, 0)
	var raw []byte
	var lines []byte
	for i := range 600 {
		lines = fmt.Appendf(lines, "{\"event\":\"x-%d\",\"ts_unix_ms\":%d}\n", i, i)
	}
	for _, p := range BlockParts(0, 0, HashLines(lines, 600)) {
		e := blockEntry{seq: p.first, offset: p.offset, bytes: p.bytes, times: p.times, root: p.tree.Root(), prints: p.prints}
		raw = e.encode(nil)
		w.write(raw)
	}
	w.close()
	raw, err := disk.ReadFile(d, "/index", 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:indexHeader+indexEntry])
	f.Fuzz(func(t *testing.T, raw []byte) {
		on := disktest.NewDisk()
		if err := disk.WriteFile(on, "/index", raw, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := openIndex(on, "/index", 0)
		var damaged *IndexError
		for err == nil {
			var e *blockEntry
			if e, err = r.next(); err == nil && (len(e.prints) == 0 || len(e.prints) > merkle.BlockSize || e.bytes < int64(len(e.prints)) || e.offset < 0) {
				t.Fatalf("believed: %+v", e)
			}
		}
		r.close()
		if !errors.Is(err, io.EOF) && !errors.As(err, &damaged) {
			t.Fatal(err)
		}
	})
}
