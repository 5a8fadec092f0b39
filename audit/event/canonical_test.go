package event

import (
	"bytes"
	"os"
	"reflect"
	"testing"
)

// What the quick way reads, the careful one reads the same, and the golden lines
// without escapes go the quick way.
func TestCanonical(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	quick := 0
	for _, line := range bytes.Split(bytes.TrimSpace(raw), []byte{'\n'}) {
		sameAsDecode(t, line)
		if canonical(line) != nil {
			quick++
		} else if !bytes.Contains(line, []byte{'\\'}) && !bytes.Contains(line, []byte(`"x-`)) {
			t.Errorf("goes the slow way: %s", line)
		}
	}
	if quick < 40 {
		t.Errorf("%d lines went the quick way", quick)
	}
}

func sameAsDecode(t *testing.T, line []byte) {
	t.Helper()
	e := canonical(line)
	if e == nil {
		return
	}
	want, err := decode(line, nil)
	if err != nil || !reflect.DeepEqual(e, want) {
		t.Errorf("%s\n got %+v\nwant %+v, %v", line, e, want, err)
	}
}

// Whatever the quick way takes, the careful one takes, with the same result.
func FuzzCanonical(f *testing.F) {
	raw, err := os.ReadFile("testdata/golden/lines.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range bytes.Split(bytes.TrimSpace(raw), []byte{'\n'}) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) { sameAsDecode(t, line) })
}

func BenchmarkDecode(b *testing.B) {
	raw, err := os.ReadFile("testdata/golden/lines.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte{'\n'})
	for b.Loop() {
		for _, line := range lines {
			Decode(line)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(lines)), "ns/line")
}
