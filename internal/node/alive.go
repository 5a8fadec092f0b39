package node

import (
	"errors"
	"log/slog"
	"sync"

	"auditmesh/audit"
)

// Ready is closed once the node serves: its log is open, and its socket answers.
// The mesh and the view may still be behind; a node without network is ready.
func (n *Node) Ready() <-chan struct{} { return n.server.Listening() }

// Alive says whether a watchdog should leave this process alone: the log can be
// signed, which takes its locks and its disk, and appends get answers. It must be
// asked at intervals, by one goroutine, and waits as long as the log hangs.
//
// A log that failed and says so is alive: it recovers by itself, and a new process
// would do the same thing no better. The view and the mesh are derived, so their
// trouble never ends the process that holds the log.
func (n *Node) Alive() bool {
	if n.log == nil {
		return true
	}
	if err := n.log.Sign(); err != nil && !errors.Is(err, audit.ErrPoisoned) {
		n.logger.Warn("the watchdog could not sign the log", slog.Any("error", err))
	}
	return n.appends.moved()
}

// progress tells work that hangs from work that goes on. The zero value is ready;
// it is safe for concurrent use.
type progress struct {
	mu      sync.Mutex
	running int    // guarded by mu
	ended   uint64 // guarded by mu
	// begun and seen are what moved found last: whether work ran, and how much had
	// ended; guarded by mu.
	begun bool
	seen  uint64
}

// begin says that some work begins; the function that it returns, that it ended.
func (p *progress) start() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running--
		p.ended++
	}
}

// moved is false if work ran since the last call of moved, and none has ended.
func (p *progress) moved() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	stuck := p.begun && p.running > 0 && p.ended == p.seen
	p.begun, p.seen = p.running > 0, p.ended
	return !stuck
}
