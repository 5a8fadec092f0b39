package rows

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"auditmesh/crdt"
)

const testNode = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"

// What a tag's row holds is the operation that its line makes.
func TestTagRows(t *testing.T) {
	raw, err := os.ReadFile("../../audit/event/testdata/golden/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	log := crdt.Log{Node: testNode, ID: [32]byte{9}}
	tags := 0
	for i, line := range bytes.Split(bytes.TrimSpace(raw), []byte("\n")) {
		want, err := decodeLine(log, uint64(i), line)
		if err != nil {
			t.Fatal(err)
		}
		if !crdt.IsTag(want.Body) {
			continue
		}
		tags++
		row := encodeTag(want)
		got, err := decodeTag(log, uint64(i), want.Task.Request, row)
		if err != nil || !reflect.DeepEqual(normal(got), normal(want)) {
			t.Errorf("line %d: %v\n got %+v\nwant %+v", i, err, got, want)
		}
		for cut := range row {
			if _, err := decodeTag(log, 0, want.Task.Request, row[:cut]); err == nil {
				t.Fatalf("line %d: %d of %d bytes were taken", i, cut, len(row))
			}
		}
		if _, err := decodeTag(log, 0, want.Task.Request, append(row, 0)); err == nil {
			t.Errorf("line %d: a byte too many was taken", i)
		}
	}
	if tags < 50 {
		t.Errorf("%d tags", tags)
	}
}

// normal makes no difference between no arguments and none given.
func normal(op crdt.Op) crdt.Op {
	switch b := op.Body.(type) {
	case crdt.Request:
		b.Argv = append([]string{}, b.Argv...)
		op.Body = b
	case crdt.Denial:
		b.Argv = append([]string{}, b.Argv...)
		op.Body = b
	}
	return op
}

func FuzzDecodeTag(f *testing.F) {
	log := crdt.Log{Node: testNode, ID: [32]byte{9}}
	code := int32(-1)
	for _, b := range []crdt.Body{
		crdt.Request{Argv: []string{"a", ""}, TimeoutMS: 7}, crdt.Exit{Code: &code}, crdt.Warning{Kind: "k"},
		crdt.Denial{Agent: [32]byte{1}, Reason: "r"}, crdt.Application{Name: "x-a"}, crdt.Started{PID: 3},
	} {
		f.Add(encodeTag(crdt.Op{Time: 1, Body: b}))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		op, err := decodeTag(log, 1, [16]byte{2}, raw)
		if err != nil {
			return
		}
		again, err := decodeTag(log, 1, [16]byte{2}, encodeTag(op))
		if err != nil || !reflect.DeepEqual(op, again) {
			t.Fatalf("%v: %+v became %+v", err, op, again)
		}
	})
}
