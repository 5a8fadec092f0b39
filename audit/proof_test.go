package audit

import (
	"errors"
	"testing"

	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// Every record of a log, across blocks and segments, is proven under the last
// checkpoint, and that checkpoint under every earlier one.
func TestProofs(t *testing.T) {
	const n = 1030
	o := testOptions(t, 1)
	o.SegmentBytes = 30 << 10
	l := openLog(t, o)
	var heads []merkle.Checkpoint
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
	if _, err := l.Prove(n); !errors.Is(err, segment.ErrUnsigned) {
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
			if q, err := merkle.ParseProof(raw); err != nil || string(q.Line)+"\n" != string(mustEncode(t, started(int(seq)))) {
				t.Fatalf("record %d: %v\n%s", seq, err, raw)
			}
			p.Line[9] ^= 1
			if _, err := merkle.ParseProof(p.Marshal()); err == nil {
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
