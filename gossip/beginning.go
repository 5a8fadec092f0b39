package gossip

import (
	"github.com/libp2p/go-libp2p/core/peer"

	"auditmesh/audit/merkle"
)

// A log whose beginning no holder has any more, since retention removed it, is
// copied from the least record that any of them offers. Who wants that states to
// hold the empty range [first, first) of it, and is sent what follows.

// beginnings are those statements for a peer: of the logs of which nothing is
// held here, that peer offers the earliest record, which is not the first, and
// no member whose statement is still awaited may offer an earlier one.
func (c *catchUp) beginnings(p peer.ID, offered []merkle.LogState) []merkle.LogState {
	theirs := c.sessions.stated(p)
	wanted := make(map[merkle.LogName]uint64)
	for _, s := range theirs {
		if s.First > 0 && s.First < s.Size && c.m.members.hasNode(s.Name.Peer) {
			wanted[s.Name] = s.First
		}
	}
	for _, s := range offered {
		delete(wanted, s.Name)
	}
	if len(wanted) == 0 || c.awaits() {
		return nil
	}
	for _, other := range c.sessions.known() {
		for _, s := range c.sessions.stated(other) {
			if first, ok := wanted[s.Name]; ok && s.First < first && s.First < s.Size {
				delete(wanted, s.Name)
			}
		}
	}
	var out []merkle.LogState
	for _, s := range theirs {
		if first, ok := wanted[s.Name]; ok {
			out = append(out, merkle.LogState{Name: s.Name, First: first, Size: first})
		}
	}
	return out
}

// awaits says whether a connected peer has stated nothing yet, and is about to.
func (c *catchUp) awaits() bool {
	for _, p := range c.m.connected() {
		c.mu.Lock()
		_, due := c.due[p]
		soon := due || c.busy[p] > 0
		c.mu.Unlock()
		if soon && !c.sessions.knows(p) {
			return true
		}
	}
	return false
}

// wantBeginnings begins a catch-up with each peer that can begin a log here and
// was not asked to.
func (c *catchUp) wantBeginnings() {
	offered := c.m.opts.Holdings.Offered()
	for _, p := range c.m.connected() {
		asked := c.sessions.recall(p).sent
		for _, s := range c.beginnings(p, offered) {
			if asked[s.Name] != s {
				c.after(p, spreadDelay)
				break
			}
		}
	}
}
