package gossip

import (
	"testing"
	"time"

	"auditmesh/audit/segment"
)

// retain removes all but the last segments of the own log.
func (h *held) retain(t *testing.T, segments int) uint64 {
	t.Helper()
	if err := h.own.Sign(); err != nil {
		t.Fatal(err)
	}
	first, err := h.own.Retirable(segment.Retention{Segments: segments}, time.Now())
	if err != nil || first == 0 {
		t.Fatalf("retirable before %d, %v", first, err)
	}
	if err := h.own.Retire(first); err != nil {
		t.Fatal(err)
	}
	return first
}

// spanOf is what a member holds of a log, once it is all.
func (m *member) spanOf(t *testing.T, of *member) (first uint64) {
	t.Helper()
	name, _ := of.own.Name()
	eventually(t, func() bool {
		for _, s := range m.Offered() {
			if s.Name == name && s.Size == of.own.Size() {
				first = s.First
				return true
			}
		}
		return false
	})
	return first
}

// Who joins after the beginning of a log was removed by everyone has it from
// where they begin; where anyone has all of it, from the first record.
func TestBeginningIsGone(t *testing.T) {
	all := []byte{1, 2, 3, 4}
	h1 := newHeld(t, 1)
	h1.append(t, 0, 200)
	n1 := join(t, 1, h1, all)
	n2 := join(t, 2, newHeld(t, 2), all, n1)
	if first := n2.spanOf(t, n1); first != 0 {
		t.Fatalf("node 2 begins at %d", first)
	}
	n2.stop()
	begin := h1.retain(t, 2)
	n3 := join(t, 3, newHeld(t, 3), all, n1)
	if first := n3.spanOf(t, n1); first != begin {
		t.Fatalf("node 3 begins at %d, node 1 at %d", first, begin)
	}
	h1.append(t, 200, 260)
	if first := n3.spanOf(t, n1); first != begin {
		t.Fatalf("node 3 begins at %d, node 1 at %d", first, begin)
	}
	// Node 2 was away, and has records that node 1 has no more: it goes on where it ended.
	n2 = join(t, 2, n2.held, all, n1, n3)
	if first := n2.spanOf(t, n1); first != 0 {
		t.Fatalf("node 2 begins at %d", first)
	}
	n4 := join(t, 4, newHeld(t, 4), all, n1, n2, n3)
	if first := n4.spanOf(t, n1); first != 0 {
		t.Fatalf("node 4 begins at %d, though node 2 has all", first)
	}
}
