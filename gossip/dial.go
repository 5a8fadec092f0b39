package gossip

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
)

const (
	dialEvery   = 500 * time.Millisecond
	dialTimeout = 5 * time.Second
	// maxDialPause keeps the reunion with a node that was away short; a dial to
	// an address where nobody listens costs next to nothing.
	maxDialPause = 4 * time.Second
)

// notifiee wakes the dialer when a connection ends.
func (m *Mesh) notifiee() network.Notifiee {
	return &network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) {
		select {
		case m.wantDial <- struct{}{}:
		default:
		}
	}}
}

// dial keeps up connections to the bootstrap addresses, and to members that
// were connected before and whose addresses are known.
func (m *Mesh) dial(ctx context.Context, h host.Host) error {
	next := make(map[peer.ID]time.Time)
	pause := make(map[peer.ID]time.Duration)
	ticker := time.NewTicker(dialEvery)
	defer ticker.Stop()
	for {
		for _, info := range m.targets(h) {
			if h.Network().Connectedness(info.ID) == network.Connected {
				delete(pause, info.ID)
				continue
			}
			if time.Now().Before(next[info.ID]) {
				continue
			}
			dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
			// Our own pauses take the place of the swarm's, which grow to minutes. (A forced
			// direct dial has none either, but panics in a swarm that closes meanwhile.)
			if s, ok := h.Network().(*swarm.Swarm); ok {
				s.Backoff().Clear(info.ID)
			}
			err := h.Connect(dialCtx, info)
			cancel()
			if err == nil || ctx.Err() != nil {
				continue
			}
			m.opts.Logger.Debug("member not reached", slog.Any("peer", info.ID), slog.Any("error", err))
			p := min(max(2*pause[info.ID], dialEvery), maxDialPause)
			pause[info.ID] = p
			next[info.ID] = time.Now().Add(p/2 + rand.N(p))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		case <-m.wantDial:
		}
	}
}

// targets are the members that can be dialled.
func (m *Mesh) targets(h host.Host) []peer.AddrInfo {
	list := append([]peer.AddrInfo(nil), m.boot...)
	listed := make(map[peer.ID]bool)
	for _, info := range list {
		listed[info.ID] = true
	}
	for id := range m.members.list {
		if id == m.self || listed[id] {
			continue
		}
		if addrs := h.Peerstore().Addrs(id); len(addrs) > 0 {
			list = append(list, peer.AddrInfo{ID: id, Addrs: addrs})
		}
	}
	return list
}
