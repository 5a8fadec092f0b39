package gossip

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quictransport "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/quic-go/quic-go"
)

// The connection manager closes the least useful connections beyond highConns,
// until lowConns are left. Both are libp2p's defaults.
const (
	lowConns  = 160
	highConns = 192
)

// meshHost is libp2p's basic host, with the parts that it does not close itself.
type meshHost struct {
	*basichost.BasicHost
	parts *closers
}

// Close closes the host and all its parts. It may be called more than once.
func (h *meshHost) Close() error { return errors.Join(h.parts.close(), h.BasicHost.Close()) }

// closers are what was made so far, closed in reverse order.
type closers struct{ list []func() error }

func (c *closers) add(f func() error) { c.list = append(c.list, f) }

func (c *closers) close() error {
	var errs []error
	for len(c.list) > 0 {
		last := len(c.list) - 1
		errs = append(errs, c.list[last]())
		c.list = c.list[:last]
	}
	return errors.Join(errs...)
}

// newHost makes a host that listens, from libp2p's parts: TCP with TLS or noise
// and yamux, and QUIC. libp2p.New would do the same, but links WebRTC,
// WebTransport, WebSocket and relays whatever it is asked for: half the program.
func (m *Mesh) newHost() (h host.Host, err error) {
	parts := new(closers)
	defer func() {
		if err != nil {
			err = errors.Join(err, parts.close())
		}
	}()
	resources, err := newResources()
	if err != nil {
		return nil, err
	}
	parts.add(resources.Close)
	bus := eventbus.NewBus()
	net, err := m.newSwarm(bus, resources, parts)
	if err != nil {
		return nil, err
	}
	conns, err := connmgr.NewConnManager(lowConns, highConns)
	if err != nil {
		return nil, err
	}
	parts.add(conns.Close)
	observed, err := observedaddrs.NewManager(bus, net)
	if err != nil {
		return nil, err
	}
	basic, err := basichost.NewHost(net, &basichost.HostOpts{
		EventBus: bus, ConnManager: conns, ObservedAddrsManager: observed, UserAgent: "auditmesh", EnablePing: true,
	})
	if err != nil {
		return nil, err
	}
	parts.add(basic.Close)
	observed.Start(net)
	parts.add(observed.Close)
	basic.Start()
	return &meshHost{basic, parts}, nil
}

// newSwarm makes the connections' side of a host, which does not listen yet.
// The members gate it.
func (m *Mesh) newSwarm(bus event.Bus, resources network.ResourceManager, parts *closers) (*swarm.Swarm, error) {
	book, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	parts.add(book.Close)
	if err := book.AddPrivKey(m.self, m.opts.Key); err != nil {
		return nil, err
	}
	if err := book.AddPubKey(m.self, m.opts.Key.GetPublic()); err != nil {
		return nil, err
	}
	packets, err := newPacketConns(m.opts.Key, resources)
	if err != nil {
		return nil, err
	}
	parts.add(packets.Close) // after the swarm, whose listeners use it
	net, err := swarm.NewSwarm(m.self, book, bus, swarm.WithConnectionGater(m.members), swarm.WithResourceManager(resources))
	if err != nil {
		return nil, err
	}
	parts.add(net.Close)
	overTCP, err := m.newTCP(resources)
	if err != nil {
		return nil, err
	}
	overQUIC, err := quictransport.NewTransport(m.opts.Key, packets, nil, m.members, resources)
	if err != nil {
		return nil, err
	}
	return net, errors.Join(net.AddTransport(overTCP), net.AddTransport(overQUIC))
}

// newTCP secures and multiplexes TCP connections. TLS is preferred, as libp2p does.
func (m *Mesh) newTCP(resources network.ResourceManager) (transport.Transport, error) {
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	tls, err := libp2ptls.New(libp2ptls.ID, m.opts.Key, muxers)
	if err != nil {
		return nil, err
	}
	noisy, err := noise.New(noise.ID, m.opts.Key, muxers)
	if err != nil {
		return nil, err
	}
	up, err := upgrader.New([]sec.SecureTransport{tls, noisy}, muxers, nil, resources, m.members)
	if err != nil {
		return nil, err
	}
	// Without reuseport: two nodes on one address would both listen, and share what comes.
	return tcp.NewTCPTransport(up, resources, nil, tcp.DisableReuseport())
}

// newPacketConns are the UDP sockets of QUIC. The resource manager counts each
// connection from its first packet on, and asks for proof of the sender's
// address when many come. The keys come from the node's key, so that they
// outlive the process: peers of a node that crashed learn at once that their
// connections are gone.
func newPacketConns(key crypto.PrivKey, resources network.ResourceManager) (*quicreuse.ConnManager, error) {
	raw, err := key.Raw()
	if err != nil {
		return nil, err
	}
	var reset quic.StatelessResetKey
	if err := derive(reset[:], raw, "libp2p quic stateless reset key"); err != nil {
		return nil, err
	}
	var token quic.TokenGeneratorKey
	if err := derive(token[:], raw, "libp2p quic token generator key"); err != nil {
		return nil, err
	}
	return quicreuse.NewConnManager(reset, token,
		quicreuse.VerifySourceAddress(resources.VerifySourceAddress),
		quicreuse.ConnContext(func(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
			return countInbound(ctx, info.RemoteAddr, resources)
		}))
}

// countInbound counts an inbound QUIC connection until its context ends.
func countInbound(ctx context.Context, from net.Addr, resources network.ResourceManager) (context.Context, error) {
	addr, err := quicreuse.ToQuicMultiaddr(from, quic.Version1)
	if err != nil {
		addr = nil // counted all the same, under no address
	}
	scope, err := resources.OpenConnection(network.DirInbound, false, addr)
	if err != nil {
		return ctx, err
	}
	ctx = network.WithConnManagementScope(ctx, scope)
	context.AfterFunc(ctx, scope.Done)
	return ctx, nil
}

// derive fills out with a key made from secret for one use.
func derive(out, secret []byte, use string) error {
	k, err := hkdf.Key(sha256.New, secret, nil, use, len(out))
	if err != nil {
		return fmt.Errorf("derive a key for %s: %w", use, err)
	}
	copy(out, k)
	return nil
}
