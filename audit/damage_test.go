package audit

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var damageRecords = flag.Int("damage.records", 100, "records of the log that is damaged at every offset")

// A bit is flipped, a byte removed, and the file cut, at every offset of every
// file of a log that was closed with a checkpoint. Verify reports each, with the
// file and where; a changed line by its number. Damage to an index is told from
// damage to evidence, and mended by opening the log, to the same bytes.
func TestDamageAtEveryOffset(t *testing.T) {
	o := testOptions(t, 1)
	o.SegmentBytes = 1 << 20
	l := openLog(t, o)
	appendN(t, l, 0, *damageRecords*2/3)
	if err := l.rotate("test"); err != nil {
		t.Fatal(err)
	}
	appendN(t, l, *damageRecords*2/3, *damageRecords)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	paths := append(mustGlob(t, filepath.Dir(o.Path)+"/audit-*"), filepath.Dir(o.Path)+"/audit.checkpoints", o.SignedPath)
	if len(paths) != 8 {
		t.Fatalf("files: %v", paths)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			defer writeInPlace(t, path, whole)
			for at := 0; at < len(whole); at += damageStride {
				bit := byte(1) << (at % 8)
				flipped := bytes.Clone(whole)
				flipped[at] ^= bit
				removed := append(bytes.Clone(whole[:at]), whole[at+1:]...)
				for how, damaged := range map[string][]byte{"flipped": flipped, "removed": removed, "cut": whole[:at]} {
					writeInPlace(t, path, damaged)
					if err := reported(o, path, whole, at, how); err != nil {
						t.Fatalf("byte %d %s: %v", at, how, err)
					}
				}
			}
			writeInPlace(t, path, whole)
			if rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath}); err != nil || len(rep.Problems)+len(rep.Derived) > 0 {
				t.Fatalf("put back: %+v, %v", rep, err)
			}
		})
	}
	for _, path := range mustGlob(t, filepath.Dir(o.Path)+"/audit-*.index") {
		whole, _ := os.ReadFile(path)
		for at := 0; at < len(whole); at += 7 {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1
			writeInPlace(t, path, damaged)
			l := openLog(t, o)
			if l.Size() != uint64(*damageRecords) {
				t.Fatalf("byte %d of %s: %d records", at, path, l.Size())
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if again, _ := os.ReadFile(path); !bytes.Equal(again, whole) {
				t.Fatalf("byte %d of %s: not made anew", at, path)
			}
		}
	}
}

// writeInPlace keeps the inode: a segment has two names.
func writeInPlace(t *testing.T, path string, content []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
}

func reported(o Options, path string, whole []byte, at int, how string) error {
	rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath})
	if err != nil {
		return err
	}
	found := rep.Problems
	if strings.HasSuffix(path, ".index") {
		if len(rep.Problems) > 0 {
			return fmt.Errorf("damage to an index was reported as damage to evidence: %q", rep.Problems)
		}
		found = rep.Derived
	}
	if len(found) == 0 {
		return fmt.Errorf("not reported: %+v", rep)
	}
	all := strings.Join(found, "\n")
	if !strings.Contains(all, path) && path != o.SignedPath && !strings.HasSuffix(path, ".checkpoints") {
		return fmt.Errorf("reported without the file's name: %s", all)
	}
	if strings.HasSuffix(path, ".jsonl") && how != "cut" {
		line := bytes.Count(whole[:at], []byte{'\n'}) + 1
		lastByte := at == len(whole)-1 // the newline at the end: the line is unfinished then
		if !strings.Contains(all, fmt.Sprintf("line %d, ", line)) && !lastByte {
			return fmt.Errorf("line %d was not named: %s", line, all)
		}
	}
	return nil
}
