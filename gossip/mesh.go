package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"auditmesh/audit"
	"auditmesh/audit/merkle"
)

// Holdings are the logs that this node holds, as the mesh reads, serves and
// extends them. Implementations are safe for concurrent use.
type Holdings interface {
	// Offered states each log up to its last checkpoint: what can be proven to
	// others.
	Offered() []merkle.LogState
	// Batch is a batch of a held log that begins at from, as large as a message
	// may be; io.EOF if no checkpoint reaches further.
	Batch(name merkle.LogName, from uint64) (*merkle.Batch, error)
	// Extend stores what is new of a batch, durable before it returns. A batch
	// that contradicts what is held is kept as evidence.
	Extend(*merkle.VerifiedBatch) (audit.Outcome, error)
	// StartAt is Extend for a batch before which nobody offers anything: a log of
	// which nothing is held begins with it.
	StartAt(*merkle.VerifiedBatch) (audit.Outcome, error)
}

// OwnLog is this node's log, which the mesh publishes.
type OwnLog interface {
	// Sign makes a checkpoint of the durable size, if that is new.
	Sign() error
	SignedSize() uint64
	Name() (merkle.LogName, bool)
	Batch(from uint64) (*merkle.Batch, error)
	Subscribe() (wake <-chan struct{}, cancel func())
}

// Options say who a node is in which mesh.
type Options struct {
	Tasklist  string // tasklist id, 1 to 128 characters
	Key       crypto.PrivKey
	Listen    []string // multiaddrs
	Bootstrap []string // multiaddrs that end in /p2p/<peer id>
	Members   []string // peer ids; this node's own may be among them
	Holdings  Holdings
	Own       OwnLog       // nil: nothing is published
	Logger    *slog.Logger // nil: silence
}

const (
	topicPrefix   = "auditmesh/tasklist/"
	maxTasklistID = 128
)

// Mesh is a node's part in a mesh.
type Mesh struct {
	opts     Options
	self     peer.ID
	listen   []ma.Multiaddr
	boot     []peer.AddrInfo
	members  *members
	codec    *codec
	counters Counters
	catchUp  *catchUp
	wantDial chan struct{} // wakes the dialer after a disconnect

	published atomic.Uint64 // set by publish alone

	mu      sync.RWMutex
	host    host.Host         // guarded by mu; nil unless Run runs
	unheard map[string]string // guarded by mu: addresses that cannot be listened on, and why
}

// New checks the options. It starts nothing and listens nowhere.
func New(o Options) (*Mesh, error) {
	if o.Tasklist == "" || len(o.Tasklist) > maxTasklistID {
		return nil, fmt.Errorf("a tasklist id has 1 to %d characters, %q does not", maxTasklistID, o.Tasklist)
	}
	self, err := peer.IDFromPrivateKey(o.Key)
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := newCodec(o.Tasklist)
	if err != nil {
		return nil, err
	}
	m := &Mesh{opts: o, self: self, codec: c, wantDial: make(chan struct{}, 1)}
	if m.members, err = parseMembers(o.Members, self, &m.counters); err != nil {
		return nil, err
	}
	for _, s := range o.Listen {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return nil, fmt.Errorf("listen address %q: %w; write it as /ip4/127.0.0.1/tcp/7946", s, err)
		}
		m.listen = append(m.listen, a)
	}
	for _, s := range o.Bootstrap {
		info, err := peer.AddrInfoFromString(s)
		if err != nil {
			return nil, fmt.Errorf("bootstrap address %q: %w; write it as /ip4/192.0.2.1/tcp/7946/p2p/12D3…, as `auditmesh status` shows it", s, err)
		}
		if info.ID == self {
			continue
		}
		if !m.members.has(info.ID) {
			return nil, fmt.Errorf("bootstrap address %q is not a member's: add %s to members", s, info.ID)
		}
		m.boot = append(m.boot, *info)
	}
	m.catchUp = newCatchUp(m)
	return m, nil
}

func parseMembers(ids []string, self peer.ID, count *Counters) (*members, error) {
	m := &members{list: map[peer.ID]struct{}{self: {}}, count: count}
	for _, s := range ids {
		if _, err := merkle.PeerKey(s); err != nil {
			return nil, fmt.Errorf("members: %w", err)
		}
		id, err := peer.Decode(s)
		if err != nil {
			return nil, fmt.Errorf("members: %q is not a peer id: %w", s, err)
		}
		m.list[id] = struct{}{}
	}
	return m, nil
}

// Counters are this mesh's.
func (m *Mesh) Counters() *Counters { return &m.counters }

// Published is the size up to which the own log was given to the topic since
// the mesh joined it. What was signed before that counts as published: catch-up
// brings it to whoever lacks it. 0 until Run has joined.
func (m *Mesh) Published() uint64 { return m.published.Load() }

// Addresses are where the node listens, each with its peer id, as others may
// use them to bootstrap. Empty unless Run runs.
func (m *Mesh) Addresses() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.host == nil {
		return nil
	}
	var out []string
	for _, a := range m.host.Addrs() {
		out = append(out, a.String()+"/p2p/"+m.self.String())
	}
	slices.Sort(out)
	return out
}

// Run joins the mesh and takes part until ctx ends; then it returns nil. An address
// that cannot be listened on is no error: see Unheard.
func (m *Mesh) Run(ctx context.Context) error {
	h, err := m.newHost()
	if err != nil {
		return fmt.Errorf("join the mesh: %w", err)
	}
	defer h.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Before the topic is joined: who meets us there may begin at once.
	h.SetStreamHandler(syncProtocol, func(s network.Stream) { m.catchUp.serve(ctx, s) })
	topic, sub, err := m.join(ctx, h)
	if err != nil {
		return fmt.Errorf("join the topic: %w", err)
	}
	defer sub.Cancel()
	events, err := topic.EventHandler()
	if err != nil {
		return err
	}
	defer events.Cancel()
	left := m.listenOn(h, m.listen)
	m.setHost(h)
	defer m.setHost(nil)
	m.opts.Logger.Info("listens", slog.Any("addresses", m.Addresses()))
	h.Network().Notify(m.notifiee())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.receive(ctx, sub) })
	g.Go(func() error { return m.watchPeers(ctx, events) })
	g.Go(func() error { return m.catchUp.run(ctx, h) })
	g.Go(func() error { return m.dial(ctx, h) })
	g.Go(func() error { return m.keepListening(ctx, h, left) })
	if m.opts.Own != nil {
		g.Go(func() error { return m.publish(ctx, topic) })
	}
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (m *Mesh) setHost(h host.Host) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.host = h
	if h == nil {
		m.unheard = nil
	}
}

// watchPeers wakes catch-up with each peer that joins the topic.
func (m *Mesh) watchPeers(ctx context.Context, events *pubsub.TopicEventHandler) error {
	for {
		e, err := events.NextPeerEvent(ctx)
		if err != nil {
			return err
		}
		if e.Type == pubsub.PeerJoin {
			m.opts.Logger.Debug("peer joined the topic", slog.Any("peer", e.Peer))
			m.catchUp.joined(e.Peer)
		}
	}
}
