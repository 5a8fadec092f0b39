package event

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"testing"
)

// What the quick way reads, the careful one reads the same, and all golden lines
// go the quick way.
func TestCanonical(t *testing.T) {
	for _, line := range allGolden(t) {
		sameAsCareful(t, line)
		if canonical(line) == nil {
			t.Errorf("goes the slow way: %s", line)
		}
	}
}

// Escapes that the writer makes are read the quick way; all others are left to the
// careful one, which may find them right.
func TestCanonicalEscapes(t *testing.T) {
	for _, c := range []struct {
		json  string
		quick bool
	}{
		{`""`, true},
		{`"a"`, true},
		{`"\\ \" \b \t \n \f \r"`, true},
		{`"\u0000\u001f\u000b"`, true},
		{`"]"`, true},
		{`"\""`, true},
		{`"é 😀 \t"`, true},
		{`"/"`, true},
		{`"\/"`, false},
		{`"\u0041"`, false},
		{`"\u001F"`, false},
		{`"\u00e9"`, false},
		{`"\u2028"`, false},
		{`"\ud83d\ude00"`, false},
	} {
		for _, argv := range []string{`[%s]`, `["first",%s,"last"]`, `[%[1]s,%[1]s]`} {
			line := fullSample(*kindOf([]byte("request"))).with("argv", fmt.Sprintf(argv, c.json)).line()
			if quick := canonical(line) != nil; quick != c.quick {
				t.Errorf("%s: quick is %v", line, quick)
			}
			sameAsCareful(t, line)
			if _, err := Decode(line); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	for _, bad := range []string{`"`, `"\`, `"\"`, `"\x"`, `"\u"`, `"\u00"`, `"\u001"`, `"\u001g"`, "\"\n\"", "\"\\t\n\"", "\"\xff\"", "\"\\t\xff\"", `"\ud83d"`} {
		line := fullSample(*kindOf([]byte("request"))).with("argv", "["+bad+"]").line()
		if e, err := Decode(line); err == nil {
			t.Errorf("%s was read as %+v", line, e)
		}
	}
}

// A line that was cut anywhere, or has anything after it, is not in the writer's form.
func TestCanonicalIsWhole(t *testing.T) {
	for _, line := range allGolden(t) {
		for n := range line {
			if e := canonical(line[:n]); e != nil {
				t.Fatalf("%s was read as %+v", line[:n], e)
			}
		}
		for _, more := range []string{"\n", " ", "}", "{}", "\x00"} {
			if e := canonical(append(bytes.Clone(line), more...)); e != nil {
				t.Fatalf("%s%q was read as %+v", line, more, e)
			}
		}
	}
}

// The commit and the fold rest on this: a line that is in the writer's form costs
// what its event consists of, and writing one costs nothing.
func TestAllocations(t *testing.T) {
	for kind, want := range map[string]float64{
		"request": 5, // the struct, argv, its text, matched_acl, its text
		"started": 1,
		"exit":    3, // code and signal
		"denial":  4, // argv, its text, reason
	} {
		line := fullSample(*kindOf([]byte(kind))).line()
		e, err := Decode(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(100, func() { e, err = Decode(line) }); got != want {
			t.Errorf("reading %s costs %v allocations, want %v", kind, got, want)
		}
		buf := make([]byte, 0, 1024)
		if got := testing.AllocsPerRun(100, func() { buf, err = AppendLine(buf[:0], e) }); got != 0 {
			t.Errorf("writing %s costs %v allocations, want none", kind, got)
		}
	}
}

func sameAsCareful(t *testing.T, line []byte) {
	t.Helper()
	e := canonical(line)
	if e == nil {
		return
	}
	want, err := careful(line, nil)
	if err != nil || !reflect.DeepEqual(e, want) {
		t.Errorf("%s\n got %+v\nwant %+v, %v", line, e, want, err)
	}
}

// Whatever the quick way takes, the careful one takes, with the same result.
func FuzzCanonical(f *testing.F) {
	for _, line := range allGolden(f) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) { sameAsCareful(t, line) })
}

func goldenBodies(b *testing.B) [][]byte {
	raw, err := os.ReadFile("testdata/golden/lines.jsonl")
	if err != nil {
		b.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(raw), []byte{'\n'})
}

func perLine(b *testing.B, lines int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
}

func BenchmarkDecode(b *testing.B) {
	lines := goldenBodies(b)
	b.ReportAllocs()
	for b.Loop() {
		for _, line := range lines {
			Decode(line)
		}
	}
	perLine(b, len(lines))
}

// Lines that another program wrote in its own form.
func BenchmarkDecodeCareful(b *testing.B) {
	lines := goldenBodies(b)
	b.ReportAllocs()
	for b.Loop() {
		for _, line := range lines {
			careful(line, nil)
		}
	}
	perLine(b, len(lines))
}

func BenchmarkEncode(b *testing.B) {
	var events []Event
	for _, line := range goldenBodies(b) {
		e, err := Decode(line)
		if err != nil {
			b.Fatal(err)
		}
		events = append(events, e)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range events {
			buf, _ = AppendLine(buf[:0], e)
		}
	}
	perLine(b, len(events))
}
