package audit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"auditmesh/internal/durable"
	"auditmesh/internal/durable/durabletest"
)

// Every record of a log, across blocks and segments, is proven under the last
// checkpoint, and that checkpoint under every earlier one.
func TestProofs(t *testing.T) {
	const n = 1030
	o := testOptions(t, 1)
	o.SegmentBytes = 30 << 10
	l := openLog(t, o)
	var heads []Checkpoint
	for i := 0; i < n; i += 103 {
		appendN(t, l, i, min(i+103, n))
		if err := l.Sign(); err != nil {
			t.Fatal(err)
		}
		head, _ := l.Head()
		heads = append(heads, head)
	}
	if l.Segments() < 3 {
		t.Fatalf("%d segments: the test is of more", l.Segments())
	}
	if _, err := l.Prove(n); !errors.Is(err, ErrUnsigned) {
		t.Errorf("beyond the end: %v", err)
	}
	prove := func() {
		t.Helper()
		for seq := l.First(); seq < n; seq++ {
			p, err := l.Prove(seq)
			if err != nil {
				t.Fatal(err)
			}
			raw := p.Marshal()
			if q, err := ParseProof(raw); err != nil || string(q.Line)+"\n" != string(mustEncode(t, started(int(seq)))) {
				t.Fatalf("record %d: %v\n%s", seq, err, raw)
			}
			p.Line[9] ^= 1
			if _, err := ParseProof(p.Marshal()); err == nil {
				t.Fatalf("record %d: a changed line was proven", seq)
			}
		}
	}
	prove()
	for _, old := range heads {
		if _, err := l.ProveConsistency(old); err != nil {
			t.Errorf("from %d: %v", old.Size, err)
		}
		old.Root[0] ^= 1
		if _, err := l.ProveConsistency(old); err == nil {
			t.Errorf("from %d: another root was proven consistent", old.Size)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	l := openLog(f, testOptions(f, 1))
	appendN(f, l, 0, 5)
	if err := l.Sign(); err != nil {
		f.Fatal(err)
	}
	p, err := l.Prove(3)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := ParseProof(raw)
		if err == nil && !bytes.Equal(p.Marshal(), raw) {
			t.Fatalf("%q was read as %q", raw, p.Marshal())
		}
	})
}

// An index is believed only as far as it is well-formed, and reading it never
// fails otherwise than it says.
func FuzzIndex(f *testing.F) {
	o := testOptions(f, 1)
	l := openLog(f, o)
	appendN(f, l, 0, 600)
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	path := filesOf(o.Path).index(0)
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:indexHeader+indexEntry])
	f.Fuzz(func(t *testing.T, raw []byte) {
		disk := durabletest.NewDisk()
		if err := durable.WriteFile(disk, "/index", raw, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := openIndex(disk, "/index", 0)
		var damaged *IndexError
		for err == nil {
			var e *entry
			if e, err = r.next(); err == nil && (len(e.prints) == 0 || len(e.prints) > blockSize || e.bytes < int64(len(e.prints)) || e.offset < 0) {
				t.Fatalf("believed: %+v", e)
			}
		}
		r.close()
		if !errors.Is(err, io.EOF) && !errors.As(err, &damaged) {
			t.Fatal(err)
		}
	})
}
