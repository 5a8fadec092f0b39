package gossip

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// timerEvery is about how often catch-up runs with every peer that speaks
	// it, whatever hints came; each pause is half to one and a half of it.
	timerEvery = 20 * time.Second
	// joinDelay is how long the peer with the greater id leaves it to the other
	// to begin when they meet, so that they do not both.
	joinDelay = time.Second
	// spreadDelay gathers what one catch-up brought before others hear of it.
	spreadDelay = 200 * time.Millisecond
	// retryDelay is the pause after a catch-up that failed.
	retryDelay = 2 * time.Second

	maxOutgoing = 4 // catch-ups that this node begins, at one time
	maxIncoming = 16
)

// catchUp decides when to catch up with whom. While a session runs with a peer,
// whoever began it, this node begins no other; a wish that comes meanwhile is one
// more session after it.
type catchUp struct {
	m        *Mesh
	sessions *sessions
	incoming chan struct{} // slots

	mu   sync.Mutex
	due  map[peer.ID]time.Time // guarded by mu: when to begin
	wake chan struct{}
	busy map[peer.ID]int       // guarded by mu: sessions under way
	last map[peer.ID]time.Time // guarded by mu: the last that ended well
}

func newCatchUp(m *Mesh) *catchUp {
	return &catchUp{
		m: m, sessions: newSessions(), incoming: make(chan struct{}, maxIncoming), wake: make(chan struct{}, 1),
		due: make(map[peer.ID]time.Time), busy: make(map[peer.ID]int), last: make(map[peer.ID]time.Time),
	}
}

// with wants a catch-up with a peer now.
func (c *catchUp) with(p peer.ID) { c.after(p, 0) }

// joined wants one with a peer that was just met: the lower id begins.
func (c *catchUp) joined(p peer.ID) {
	if c.m.self < p {
		c.after(p, 0)
	} else {
		c.after(p, joinDelay)
	}
}

// dropped wants one with everybody: what was lost, and from whom, is not known.
func (c *catchUp) dropped() { c.everybody(spreadDelay, "") }

func (c *catchUp) everybody(delay time.Duration, but peer.ID) {
	for _, p := range c.m.connected() {
		if p != but {
			c.after(p, delay+rand.N(spreadDelay))
		}
	}
}

// after wants a catch-up with a peer in a while; an earlier wish stands.
func (c *catchUp) after(p peer.ID, delay time.Duration) {
	at := time.Now().Add(delay)
	c.mu.Lock()
	if have, ok := c.due[p]; !ok || at.Before(have) {
		c.due[p] = at
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run begins what is due until ctx ends, and then waits for what is under way.
func (c *catchUp) run(ctx context.Context, h host.Host) error {
	slots := make(chan struct{}, maxOutgoing)
	var wg sync.WaitGroup
	defer func() {
		wg.Wait()
		for range maxIncoming { // all slots: nothing incoming is under way, or begins
			c.incoming <- struct{}{}
		}
	}()
	timer := time.NewTimer(jitter())
	defer timer.Stop()
	for {
		p, wait, ok := c.pick()
		if ok {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			wg.Go(func() {
				defer func() { <-slots }()
				c.startSession(ctx, h, p)
			})
			continue
		}
		next := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			next.Stop()
			return ctx.Err()
		case <-timer.C:
			c.everybody(0, "")
			timer.Reset(jitter())
		case <-c.wake:
		case <-next.C:
		}
		next.Stop()
	}
}

func jitter() time.Duration { return timerEvery/2 + rand.N(timerEvery) }

// pick takes a peer whose time has come and with whom no session runs, or says
// how long to wait for the next.
func (c *catchUp) pick() (p peer.ID, wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait = timerEvery
	now := time.Now()
	for id, at := range c.due {
		if c.busy[id] > 0 {
			continue
		}
		if d := at.Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		delete(c.due, id)
		c.busy[id]++
		return id, 0, true
	}
	return "", wait, false
}

func (c *catchUp) startSession(ctx context.Context, h host.Host, p peer.ID) {
	defer c.free(p)
	if h.Network().Connectedness(p) != network.Connected {
		return // when it is, joining the topic wakes us
	}
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	s, err := h.NewStream(ctx, p, syncProtocol)
	if err != nil {
		// Not every member speaks it: a dashboard may only listen to the topic.
		c.m.opts.Logger.Debug("no catch-up with this peer", slog.Any("peer", p), slog.Any("error", err))
		return
	}
	got, err := c.session(ctx, s, p)
	c.count(p, got, err)
	if err != nil {
		c.after(p, retryDelay)
	}
}

// serve is the handler of incoming catch-ups. Those under way when ctx ends are
// waited for by run.
func (c *catchUp) serve(ctx context.Context, s network.Stream) {
	p := s.Conn().RemotePeer()
	select {
	case c.incoming <- struct{}{}:
		defer func() { <-c.incoming }()
	default:
		c.m.counters.SyncsRefused.Add(1)
		s.Reset()
		return
	}
	c.mu.Lock()
	c.busy[p]++
	c.mu.Unlock()
	defer c.free(p)
	ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
	defer cancel()
	got, err := c.session(ctx, s, p)
	c.count(p, got, err)
}

// free ends a session with a peer, and sees to a wish that came meanwhile.
func (c *catchUp) free(p peer.ID) {
	c.mu.Lock()
	if c.busy[p]--; c.busy[p] == 0 {
		delete(c.busy, p)
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *catchUp) count(p peer.ID, got int, err error) {
	if err != nil {
		c.m.counters.SyncsFailed.Add(1)
		c.m.opts.Logger.Info("catch-up ended early", slog.Any("peer", p), slog.Int("batches received", got), slog.Any("error", err))
	} else {
		c.m.counters.Syncs.Add(1)
		c.mu.Lock()
		c.last[p] = time.Now()
		c.mu.Unlock()
		c.wantBeginnings()
	}
	if got > 0 {
		// What came from one, the others may lack: tell them soon. With equal
		// holdings such a session is two small frames.
		c.everybody(spreadDelay, p)
	}
}
