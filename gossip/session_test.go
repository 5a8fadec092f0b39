package gossip

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"auditmesh/gossip/internal/wire"
)

// After one full exchange, the next states only what changed.
func TestStatementsAreDeltas(t *testing.T) {
	all := []byte{1, 2}
	h1, h2 := newHeld(t, 1), newHeld(t, 2)
	h1.append(t, 0, 3)
	h2.append(t, 0, 3)
	n1 := join(t, 1, h1, all)
	n2 := join(t, 2, h2, all, n1)
	converge(t, n1, n2)
	// A full exchange remembers both sides' statements; a delta goes on top.
	c := n1.catchUp
	x := &exchange{c: c, offered: h1.Offered()}
	mem := &remembered{}
	var out bytes.Buffer
	frames := func(known *wire.Known) []*wire.State {
		t.Helper()
		out.Reset()
		x.s = &recorder{w: &out}
		if err := x.sendState(mem, known); err != nil {
			t.Fatal(err)
		}
		var list []*wire.State
		r := bufio.NewReader(&out)
		for {
			f, err := readFrame(r)
			if err != nil {
				return list
			}
			list = append(list, f.GetState())
		}
	}
	first := frames(&wire.Known{})
	if len(first) != 1 || first[0].GetDelta() || len(first[0].GetLogs()) != 2 {
		t.Fatalf("the first statement: %v", first)
	}
	known := &wire.Known{Instance: first[0].GetInstance(), Number: first[0].GetNumber()}
	if again := frames(known); !again[0].GetDelta() || len(again[0].GetLogs()) != 0 {
		t.Fatalf("nothing changed, and it states %v", again)
	}
	h1.append(t, 3, 4)
	if err := h1.own.Sign(); err != nil {
		t.Fatal(err)
	}
	x.offered = h1.Offered()
	if stale := frames(known); stale[0].GetDelta() || len(stale[0].GetLogs()) != 2 {
		t.Fatalf("for a peer that knows an older statement: %v", stale)
	}
	known.Number = mem.number
	h1.append(t, 4, 5)
	if err := h1.own.Sign(); err != nil {
		t.Fatal(err)
	}
	x.offered = h1.Offered()
	if delta := frames(known); !delta[0].GetDelta() || len(delta[0].GetLogs()) != 1 || delta[0].GetLogs()[0].GetSize() != 5 {
		t.Fatalf("one log grew, and it states %v", delta)
	}
}

func TestFrameLimits(t *testing.T) {
	huge := binary.AppendUvarint(nil, maxMessage+1)
	if _, err := readFrame(bufio.NewReader(bytes.NewReader(huge))); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("a huge frame: %v", err)
	}
	if _, err := decodeStates(make([]*wire.Log, pageLogs+1)); err == nil {
		t.Error("a huge page was accepted")
	}
	if err := writeFrame(&bytes.Buffer{}, &wire.Frame{Frame: &wire.Frame_Batch{Batch: &wire.Batch{Lines: make([]byte, maxMessage+1)}}}); err == nil {
		t.Error("a frame over the limit was written")
	}
}
