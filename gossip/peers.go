package gossip

import (
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"auditmesh/audit/merkle"
)

// Peer is what is known of a member.
type Peer struct {
	ID        string
	Connected bool
	Addresses []string // of its connections
	LastSync  time.Time
	// Stated is what it stated to hold in the last catch-up, by name.
	Stated []merkle.LogState
}

// Peers are all members but this node, connected or not.
func (m *Mesh) Peers() []Peer {
	m.mu.RLock()
	h := m.host
	m.mu.RUnlock()
	var list []Peer
	for id := range m.members.list {
		if id == m.self {
			continue
		}
		p := Peer{ID: id.String(), LastSync: m.catchUp.lastSync(id), Stated: m.catchUp.sessions.stated(id)}
		if h != nil && h.Network().Connectedness(id) == network.Connected {
			p.Connected = true
			for _, c := range h.Network().ConnsToPeer(id) {
				p.Addresses = append(p.Addresses, c.RemoteMultiaddr().String())
			}
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// connected are the members with a connection.
func (m *Mesh) connected() []peer.ID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.host == nil {
		return nil
	}
	return m.host.Network().Peers()
}

func (c *catchUp) lastSync(p peer.ID) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[p]
}

func (s *sessions) stated(p peer.ID) []merkle.LogState {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.peers[p]
	if r == nil {
		return nil
	}
	list := make([]merkle.LogState, 0, len(r.got))
	for _, l := range r.got {
		list = append(list, l)
	}
	merkle.SortStates(list)
	return list
}

// knows says whether a peer has stated its holdings.
func (s *sessions) knows(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.peers[p]
	return r != nil && r.got != nil
}

// known are the peers that have.
func (s *sessions) known() (list []peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.peers {
		list = append(list, p)
	}
	return list
}
