// Package api is HTTP over a node: what the command line, and later dashboards,
// ask a running node. It listens on a unix socket in the data directory, which
// only its owner can open. The routes are those of Server.routes.
package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"auditmesh/crdt"
	"auditmesh/mirror"
)

// Service is the node, as the API asks it. Implementations are safe for
// concurrent use. A ctx is its client's: it ends when the client left or the node
// stops, and what is asked ends with it.
type Service interface {
	Identity() Identity
	// Append commits the events, given as JSON objects, in order. It answers each
	// with its position or why it was refused; those that are in order are
	// committed together.
	Append(ctx context.Context, inputs [][]byte) []Appended
	// Vitals is the part of Status that health rests on. It is in memory, and waits
	// for no disk and no other request.
	Vitals() Status
	Status(ctx context.Context, deep bool) (Status, error)
	Tasks(context.Context, mirror.TaskQuery) (mirror.TaskPage, error)
	// Changes calls emit for the tasks that fit the filter and change, from when
	// begun is called until ctx ends.
	Changes(ctx context.Context, f mirror.Filter, begun func() error, emit func(mirror.Change) error) error
	// Task finds the tasks of all nodes whose request id begins with prefix.
	Task(ctx context.Context, prefix string) ([]crdt.Item, error)
	// Log calls emit for each record, oldest first, and goes on with new ones
	// until ctx ends if the query follows. caughtUp is called before it waits.
	Log(ctx context.Context, q LogQuery, emit func(LogLine) error, caughtUp func() error) error
	// Raw writes the lines that are held of a node, byte for byte: of the log
	// with that id, or of all its logs in order if log is empty.
	Raw(ctx context.Context, node, log string, w io.Writer) error
	Peers() []Peer
	// Prove, Checkpoint and Extends answer with C2SP's text formats:
	// docs/formats.md, "Proofs". An empty node is this one; an empty log id does
	// for a node with one log.
	Prove(ctx context.Context, node, log string, seq uint64) ([]byte, error)
	Checkpoint(ctx context.Context, node, log string) ([]byte, error)
	Extends(ctx context.Context, checkpoint []byte) ([]byte, error)
	// Remove records a removal of own tasks.
	Remove(context.Context, Removal) (Removed, error)
	// Review records an act of review of a task in the own log.
	Review(context.Context, Review) (Appended, error)
}

const (
	readHeaderTimeout = 10 * time.Second
	writeTimeout      = 30 * time.Second // of one piece of an answer
	shutdownTimeout   = 3 * time.Second
	answersTimeout    = 5 * time.Second // for what then still runs, as in a database that hangs
	maxHeader         = 16 << 10
)

// Server serves a Service. Run does all its work.
type Server struct {
	service      Service
	path         string
	logger       *slog.Logger
	slots        [pools]chan struct{}
	answering    sync.RWMutex // held for reading by each request that is answered
	writeTimeout time.Duration
	now          func() time.Time // the clock that records are compared with
	// listening is closed by Run.
	listening chan struct{}
}

// NewServer serves at the unix socket path. It listens only once Run runs.
func NewServer(service Service, path string, logger *slog.Logger) *Server {
	s := &Server{service: service, path: path, logger: logger, writeTimeout: writeTimeout, now: time.Now, listening: make(chan struct{})}
	for p := range pools {
		s.slots[p] = make(chan struct{}, slotsOf(p))
	}
	return s
}

// Listening is closed once Run listens: from then on requests are answered, or wait.
func (s *Server) Listening() <-chan struct{} { return s.listening }

// Run serves until ctx ends, lets answers under way end, and returns nil. An
// error is one that keeps it from listening. Once it returned no request uses the
// service any more. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	l, err := Listen(ctx, s.path)
	if err != nil {
		return err
	}
	close(s.listening)
	ctx, end := context.WithCancel(ctx)
	srv := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: readHeaderTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends streams with the node
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	defer func() {
		end()
		srv.Close()
		s.awaitAnswers()
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// awaitAnswers admits nobody any more, and waits for those who are answered now.
// A question that hangs in the view's database is left behind after a time: the end
// of the process ends it, and the log does not wait for it.
func (s *Server) awaitAnswers() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.answering.Lock()
	}()
	select {
	case <-done:
	case <-time.After(answersTimeout):
		s.logger.Warn("answers that do not end are left behind", slog.Duration("waited", answersTimeout))
	}
}
