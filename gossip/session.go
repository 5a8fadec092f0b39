package gossip

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/errgroup"

	"auditmesh/audit"
	"auditmesh/audit/merkle"
	"auditmesh/gossip/internal/wire"
)

const (
	syncProtocol = protocol.ID("/auditmesh/sync/1")
	// sessionTimeout bounds one session; what is left is the next one's.
	sessionTimeout = 5 * time.Minute
	// frameTimeout is how long one frame may take to be written or read.
	frameTimeout = 30 * time.Second
	// offerAgain is how long a log that a peer did not take is not sent to it.
	offerAgain = 5 * time.Minute
	// maxStated bounds the logs that one peer may state.
	maxStated = 1 << 16
)

// sessions remembers, for each peer, the last full exchange of statements, so
// that the next states only what changed since.
type sessions struct {
	instance [16]byte

	mu    sync.Mutex
	count uint64                  // guarded by mu: statements made
	peers map[peer.ID]*remembered // guarded by mu
}

// remembered is what was stated between this node and one peer.
type remembered struct {
	number uint64                             // of our last statement
	sent   map[merkle.LogName]merkle.LogState // its content, in full
	theirs statement                          // their last statement
	got    map[merkle.LogName]merkle.LogState // its content, in full
	// untaken are the logs that were sent to their end, by what the peer stated of
	// them then. One that it states the same of afterwards it does not take: it
	// may have another list of members, or hold another past of that log.
	untaken map[merkle.LogName]untaken
}

type untaken struct {
	stated uint64 // size
	sent   time.Time
}

// statement names one statement of holdings.
type statement struct {
	instance [16]byte
	number   uint64
}

func newSessions() *sessions {
	s := &sessions{peers: make(map[peer.ID]*remembered)}
	rand.Read(s.instance[:]) // never fails, see crypto/rand
	return s
}

// session runs one catch-up on a stream. Both sides do the same: state what
// they hold, then send what the other lacks. It returns how many batches brought
// something new; after an error what came before it is stored all the same.
func (c *catchUp) session(ctx context.Context, s network.Stream, p peer.ID) (got int, err error) {
	defer func() {
		if err != nil {
			s.Reset()
		} else {
			s.Close()
		}
	}()
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	x := &exchange{c: c, s: s, r: bufio.NewReader(s), p: p, offered: c.m.opts.Holdings.Offered()}
	x.wanted = c.beginnings(p, x.offered)
	return x.run(ctx)
}

// exchange is one session.
type exchange struct {
	c       *catchUp
	s       network.Stream
	r       *bufio.Reader
	p       peer.ID
	offered []merkle.LogState
	wanted  []merkle.LogState // what is wanted from the record on where the peer begins
	before  [16]byte          // instance of the peer when it was last heard
}

func (x *exchange) write(f *wire.Frame) error {
	if err := x.s.SetWriteDeadline(time.Now().Add(frameTimeout)); err != nil {
		return err
	}
	return writeFrame(x.s, f)
}

func (x *exchange) read() (*wire.Frame, error) {
	if err := x.s.SetReadDeadline(time.Now().Add(frameTimeout)); err != nil {
		return nil, err
	}
	return readFrame(x.r)
}

func (x *exchange) run(ctx context.Context) (got int, err error) {
	mem := x.c.sessions.recall(x.p)
	x.before = mem.theirs.instance
	_, mine := merkle.Digests(x.offered)
	hello := &wire.Hello{Tasklist: x.c.m.opts.Tasklist, Holdings: mine[:], Known: &wire.Known{Instance: mem.theirs.instance[:], Number: mem.theirs.number}}
	if err := x.write(&wire.Frame{Frame: &wire.Frame_Hello{Hello: hello}}); err != nil {
		return 0, err
	}
	f, err := x.read()
	if err != nil {
		return 0, err
	}
	theirs := f.GetHello()
	if theirs == nil {
		return 0, errors.New("the peer did not begin with a hello")
	}
	if theirs.GetTasklist() != x.c.m.opts.Tasklist {
		x.c.m.counters.OtherTasklist.Add(1)
		return 0, fmt.Errorf("the peer has the tasklist %.40q", theirs.GetTasklist())
	}
	if bytes.Equal(theirs.GetHoldings(), mine[:]) {
		x.c.sessions.agreed(x.p, x.offered)
		return 0, nil // both sides see it
	}
	g, ctx := errgroup.WithContext(ctx)
	stated := make(chan map[merkle.LogName]merkle.LogState, 1)
	// Each goroutine changes its own half of what is remembered. One that fails
	// resets the stream, which ends the other.
	g.Go(func() error { return x.ends(x.send(ctx, &mem, theirs.GetKnown(), stated)) })
	g.Go(func() (err error) {
		got, err = x.receive(&mem, stated)
		return x.ends(err)
	})
	err = g.Wait()
	if err == nil {
		x.c.sessions.remember(x.p, mem)
	}
	return got, err
}

func (x *exchange) ends(err error) error {
	if err != nil {
		x.s.Reset()
	}
	return err
}

// send states what is held, waits for the other side's statement, and sends
// what it lacks, each log from where the other ends.
func (x *exchange) send(ctx context.Context, mem *remembered, known *wire.Known, stated <-chan map[merkle.LogName]merkle.LogState) error {
	if err := x.sendState(mem, known); err != nil {
		return err
	}
	var theirs map[merkle.LogName]merkle.LogState
	select {
	case theirs = <-stated:
	case <-ctx.Done():
		return ctx.Err()
	}
	if mem.theirs.instance != x.before { // it was restarted, and may take now what it did not
		mem.untaken = nil
	}
	sent := make(map[merkle.LogName]untaken)
	for _, mine := range x.offered {
		stated := theirs[mine.Name].Size
		if stated < mine.First {
			continue // it would have a hole; see beginnings
		}
		if last, ok := mem.untaken[mine.Name]; ok && last.stated == stated && time.Since(last.sent) < offerAgain {
			sent[mine.Name] = last
			continue
		}
		if stated < mine.Size {
			sent[mine.Name] = untaken{stated, time.Now()}
		}
		for from := stated; from < mine.Size; {
			if err := ctx.Err(); err != nil {
				return err
			}
			b, err := x.c.m.opts.Holdings.Batch(mine.Name, from)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if err := x.write(&wire.Frame{Frame: &wire.Frame_Batch{Batch: x.c.m.codec.encodeBatch(b)}}); err != nil {
				return err
			}
			x.c.m.counters.SyncBatchesOut.Add(1)
			from = endOf(b)
		}
	}
	mem.untaken = sent
	return x.write(&wire.Frame{Frame: &wire.Frame_Done{Done: &wire.Done{}}})
}

func (x *exchange) sendState(mem *remembered, known *wire.Known) error {
	all := slices.Concat(x.offered, x.wanted)
	full := make(map[merkle.LogName]merkle.LogState, len(all))
	states := all
	delta := mem.sent != nil && bytes.Equal(known.GetInstance(), x.c.sessions.instance[:]) && known.GetNumber() == mem.number
	if delta {
		states = nil
	}
	for _, s := range all {
		full[s.Name] = s
		if delta && mem.sent[s.Name] != s {
			states = append(states, s)
		}
	}
	mem.number = x.c.sessions.next()
	mem.sent = full
	for {
		page := states[:min(len(states), pageLogs)]
		states = states[len(page):]
		st := &wire.State{Instance: x.c.sessions.instance[:], Number: mem.number, Delta: delta, Logs: encodeStates(page), More: len(states) > 0}
		if err := x.write(&wire.Frame{Frame: &wire.Frame_State{State: st}}); err != nil {
			return err
		}
		if len(states) == 0 {
			return nil
		}
	}
}

// receive reads the other side's statement and then its batches. Each is
// verified before anything of it is stored.
func (x *exchange) receive(mem *remembered, stated chan<- map[merkle.LogName]merkle.LogState) (got int, err error) {
	theirs, err := x.receiveState(mem)
	if err != nil {
		return 0, err
	}
	x.noteOwn(theirs)
	stated <- theirs
	for {
		f, err := x.read()
		if err != nil {
			return got, err
		}
		switch f := f.GetFrame().(type) {
		case *wire.Frame_Done:
			return got, nil
		case *wire.Frame_Batch:
			x.c.m.counters.SyncBatchesIn.Add(1)
			v, err := x.c.m.verify(f.Batch)
			if errors.Is(err, errNotOurs) {
				continue
			}
			if err != nil {
				return got, err
			}
			outcome, err := x.c.m.apply(v, x.p, x.store)
			if err != nil {
				return got, err // to send us more would be of no use now
			}
			if outcome == audit.Extended {
				got++
			}
		default:
			return got, fmt.Errorf("the peer sent a %T among its batches", f)
		}
	}
}

// store stores a batch, which begins its log here if that was asked for.
func (x *exchange) store(v *merkle.VerifiedBatch) (audit.Outcome, error) {
	h := x.c.m.opts.Holdings
	if slices.ContainsFunc(x.wanted, func(s merkle.LogState) bool { return s.Name == v.Log && s.First == v.First }) {
		return h.StartAt(v)
	}
	return h.Extend(v)
}

func (x *exchange) receiveState(mem *remembered) (map[merkle.LogName]merkle.LogState, error) {
	var theirs map[merkle.LogName]merkle.LogState
	for first := true; ; first = false {
		f, err := x.read()
		if err != nil {
			return nil, err
		}
		st := f.GetState()
		if st == nil {
			return nil, errors.New("the peer did not state its holdings")
		}
		if first {
			theirs = make(map[merkle.LogName]merkle.LogState)
			if st.GetDelta() {
				for name, s := range mem.got {
					theirs[name] = s
				}
			}
			if len(st.GetInstance()) != len(x.c.sessions.instance) {
				return nil, errors.New("the peer's statement has no instance")
			}
			mem.theirs = statement{[16]byte(st.GetInstance()), st.GetNumber()}
		}
		states, err := decodeStates(st.GetLogs())
		if err != nil {
			return nil, err
		}
		for _, s := range states {
			theirs[s.Name] = s
		}
		if len(theirs) > maxStated {
			return nil, fmt.Errorf("the peer states more than %d logs", maxStated)
		}
		if !st.GetMore() {
			mem.got = theirs
			return theirs, nil
		}
	}
}

// noteOwn sees whether the peer holds more of this node's log than the node
// itself: then the own disk lost records that were signed.
func (x *exchange) noteOwn(theirs map[merkle.LogName]merkle.LogState) {
	own := x.c.m.opts.Own
	if own == nil {
		return
	}
	for name, s := range theirs {
		if name.Peer != x.c.m.self.String() {
			continue
		}
		if mine, ok := own.Name(); !ok || mine != name || s.Size > own.SignedSize() {
			x.c.m.counters.OwnLogAhead.Add(1)
		}
	}
}

// next numbers a statement. Sessions with one peer may run beside one another,
// so numbers are given out for all together.
func (s *sessions) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	return s.count
}

func (s *sessions) recall(p peer.ID) remembered {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.peers[p]; r != nil {
		return *r
	}
	return remembered{}
}

// remember keeps what a session that ended well stated. A session that ran
// beside it may have been faster; then the older is not taken back.
func (s *sessions) remember(p peer.ID, r remembered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.peers[p]; have == nil || have.number < r.number {
		s.peers[p] = &r
	}
}

// agreed notes that a peer holds what we offer. Its next delta, on top of an
// older statement, changes this to the same.
func (s *sessions) agreed(p peer.ID, offered []merkle.LogState) {
	got := make(map[merkle.LogName]merkle.LogState, len(offered))
	for _, l := range offered {
		got[l.Name] = l
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := remembered{}
	if have := s.peers[p]; have != nil {
		r = *have
	}
	r.got = got
	s.peers[p] = &r
}
