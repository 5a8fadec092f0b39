package gossip

import (
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// members is the static list of a mesh: only they connect, and only their logs
// count. It gates connections on the peer id that the security handshake
// proved, and never changes.
type members struct {
	list  map[peer.ID]struct{}
	count *Counters
}

var _ connmgr.ConnectionGater = (*members)(nil)

func (m *members) has(id peer.ID) bool {
	_, ok := m.list[id]
	return ok
}

// hasNode is has for a peer id in base58, as logs are named.
func (m *members) hasNode(node string) bool {
	id, err := peer.Decode(node)
	return err == nil && m.has(id)
}

// InterceptPeerDial refuses to dial strangers.
func (m *members) InterceptPeerDial(p peer.ID) bool { return m.has(p) }

// InterceptAddrDial allows every address of a member.
func (m *members) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept cannot tell yet who is there.
func (m *members) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured refuses strangers, as soon as they have shown who they are.
func (m *members) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	if m.has(p) {
		return true
	}
	m.count.StrangersRefused.Add(1)
	return false
}

// InterceptUpgraded has nothing to add.
func (m *members) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
