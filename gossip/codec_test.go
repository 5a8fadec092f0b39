package gossip

import (
	"strings"
	"testing"

	"auditmesh/audit/merkle"
)

// What a member states is remembered, so it is bounded in bytes: a name that no node
// has is refused with the page.
func TestStatedNamesAreBounded(t *testing.T) {
	state := merkle.LogState{Name: merkle.LogName{Peer: idOf(1), ID: merkle.Hash{1}}, Size: 3}
	got, err := decodeStates(encodeStates([]merkle.LogState{state}))
	if err != nil || len(got) != 1 || got[0] != state {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, name := range []string{"", strings.Repeat("x", merkle.MaxPeerID+1), strings.Repeat("x", 1<<20)} {
		bad := state
		bad.Name.Peer = name
		if _, err := decodeStates(encodeStates([]merkle.LogState{state, bad})); err == nil || !strings.Contains(err.Error(), "a peer id has 1 to 64") {
			t.Errorf("a name of %d bytes: %v", len(name), err)
		}
	}
}
