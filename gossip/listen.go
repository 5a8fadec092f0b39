package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	ma "github.com/multiformats/go-multiaddr"
)

// An address that cannot be listened on (its interface is not up yet, its port is
// taken) must not end the node: it dials members all the same. The address is
// tried again until it works, and Unheard says why it does not.

const (
	// retryListen and slowedListen are the first and the longest pause between two tries.
	retryListen  = time.Second
	slowedListen = 30 * time.Second
)

// Unheard are the configured addresses on which this node does not listen, with
// the reasons. It is empty unless Run runs.
func (m *Mesh) Unheard() map[string]string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make(map[string]string, len(m.unheard))
	for addr, why := range m.unheard {
		out[addr] = why
	}
	return out
}

// listenOn listens on those of the addresses that it can, and returns the others.
func (m *Mesh) listenOn(h host.Host, addrs []ma.Multiaddr) (left []ma.Multiaddr) {
	unheard := make(map[string]string)
	for _, a := range addrs {
		if err := h.Network().Listen(a); err != nil {
			left = append(left, a)
			// libp2p puts the reasons of all addresses, here one, in brackets.
			why := strings.TrimPrefix(err.Error(), "failed to listen on any addresses: [")
			unheard[a.String()] = strings.TrimSuffix(why, "]")
		}
	}
	m.mu.Lock()
	m.unheard = unheard
	m.mu.Unlock()
	return left
}

// keepListening tries the addresses that are left until each works, or ctx ends.
func (m *Mesh) keepListening(ctx context.Context, h host.Host, left []ma.Multiaddr) error {
	pause := retryListen
	for len(left) > 0 {
		m.opts.Logger.Warn("not listening on all addresses", slog.String("reasons", fmt.Sprint(m.Unheard())), slog.Duration("next try in", pause))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, slowedListen)
		before := len(left)
		if left = m.listenOn(h, left); len(left) < before {
			m.opts.Logger.Info("listens", slog.Any("addresses", slices.Clone(m.Addresses())))
		}
	}
	return nil
}
