// Package api is HTTP over a node: what the command line, and later dashboards,
// ask a running node. It listens on a unix socket in the data directory, which
// only its owner can open. The routes are those of Server.handler.
package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"auditmesh/crdt"
	"auditmesh/mirror"
)

// Service is the node, as the API asks it. Implementations are safe for
// concurrent use.
type Service interface {
	Identity() Identity
	// Append commits the events, given as JSON objects, in order. It answers each
	// with its position or why it was refused; those that are in order are
	// committed together.
	Append(ctx context.Context, inputs [][]byte) []Appended
	Status(deep bool) (Status, error)
	Tasks(mirror.TaskQuery) (mirror.TaskPage, error)
	// Changes calls emit for the tasks that fit the filter and change, from when
	// begun is called until ctx ends.
	Changes(ctx context.Context, f mirror.Filter, begun func() error, emit func(mirror.Change) error) error
	// Task finds the tasks of all nodes whose request id begins with prefix.
	Task(prefix string) ([]crdt.Item, error)
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
	Prove(node, log string, seq uint64) ([]byte, error)
	Checkpoint(node, log string) ([]byte, error)
	Extends(checkpoint []byte) ([]byte, error)
	// Remove records a removal of own tasks.
	Remove(context.Context, Removal) (Removed, error)
	// Review records an act of review of a task in the own log.
	Review(context.Context, Review) (Appended, error)
}

const (
	readHeaderTimeout = 10 * time.Second
	writeTimeout      = 30 * time.Second // of one piece of an answer
	shutdownTimeout   = 3 * time.Second
	maxHeader         = 16 << 10
	// maxRequests bounds the requests that are answered at one time.
	maxRequests = 256
)

// Server serves a Service. Run does all its work.
type Server struct {
	service Service
	path    string
	logger  *zap.Logger
	slots   chan struct{}
	// listening is closed by Run.
	listening chan struct{}
}

// NewServer serves at the unix socket path. It listens only once Run runs.
func NewServer(service Service, path string, logger *zap.Logger) *Server {
	return &Server{service, path, logger, make(chan struct{}, maxRequests), make(chan struct{})}
}

// Listening is closed once Run listens: from then on requests are answered, or wait.
func (s *Server) Listening() <-chan struct{} { return s.listening }

// Run serves until ctx ends, lets answers under way end, and returns nil. An
// error is one that keeps it from listening. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	l, err := Listen(ctx, s.path)
	if err != nil {
		return err
	}
	close(s.listening)
	srv := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: readHeaderTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx }, // ends streams with the node
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
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

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/identity", s.answer(func(*http.Request) (any, error) { return s.service.Identity(), nil }))
	mux.HandleFunc("GET /v1/status", s.answer(func(r *http.Request) (any, error) {
		return s.service.Status(r.URL.Query().Get("deep") == "true")
	}))
	mux.HandleFunc("GET /v1/peers", s.answer(func(*http.Request) (any, error) { return s.service.Peers(), nil }))
	mux.HandleFunc("GET /v1/tasks", s.answer(s.tasks))
	mux.HandleFunc("GET /v1/tasks/{id}", s.answer(s.task))
	mux.HandleFunc("GET /v1/changes", s.changes)
	mux.HandleFunc("GET /v1/log", s.log)
	mux.HandleFunc("GET /v1/raw", s.raw)
	mux.HandleFunc("GET /v1/proof", s.text(s.prove))
	mux.HandleFunc("GET /v1/checkpoint", s.text(func(r *http.Request) ([]byte, error) {
		return s.service.Checkpoint(r.URL.Query().Get("node"), r.URL.Query().Get("log"))
	}))
	mux.HandleFunc("POST /v1/consistency", s.text(s.extends))
	mux.HandleFunc("POST /v1/events", s.events)
	mux.HandleFunc("POST /v1/review", s.answer(s.review))
	mux.HandleFunc("POST /v1/remove", s.answer(s.remove))
	mux.Handle("GET /metrics", s.metrics())
	limited := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
			mux.ServeHTTP(w, r)
		default:
			s.fail(w, &Refusal{Code: "overloaded", Message: "too many requests at one time; try again"}, http.StatusServiceUnavailable)
		}
	})
	outer := http.NewServeMux()
	outer.HandleFunc("GET /healthz", s.health) // answers under load too
	outer.Handle("/", limited)
	return outer
}

// answer makes a handler of a function that returns what is to be written as JSON.
func (s *Server) answer(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := newEncoder(w).Encode(v); err != nil {
			s.logger.Debug("answer not written", zap.Error(err))
		}
	}
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	ref, status := refusal(err)
	if status == http.StatusInternalServerError {
		s.logger.Error("a request failed", zap.String("path", r.URL.Path), zap.Error(err))
	}
	s.fail(w, ref, status)
}

func (s *Server) fail(w http.ResponseWriter, ref *Refusal, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := newEncoder(w).Encode(ref); err != nil {
		s.logger.Debug("refusal not written", zap.Error(err))
	}
}

func newEncoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

func badParameter(name string) error {
	return &Refusal{Code: "bad_parameter", Field: name, Message: "the parameter " + name + " is not a number"}
}

// number reads a parameter that may be absent.
func (s *Server) tasks(r *http.Request) (any, error) {
	q, err := taskQuery(r.URL.Query(), 50)
	if err != nil {
		return nil, err
	}
	return s.service.Tasks(q)
}

func (s *Server) task(r *http.Request) (any, error) {
	items, err := s.service.Task(r.PathValue("id"))
	if err == nil && len(items) == 0 {
		err = fmt.Errorf("%w: no task has a request id that begins with %s", ErrNotFound, r.PathValue("id"))
	}
	return items, err
}

// maxBody bounds the body of one act of review, or removal.
const maxBody = 64 << 10

func (s *Server) review(r *http.Request) (any, error) {
	var act Review
	if err := readBody(r, &act); err != nil {
		return nil, err
	}
	return s.service.Review(r.Context(), act)
}

func (s *Server) remove(r *http.Request) (any, error) {
	var removal Removal
	if err := readBody(r, &removal); err != nil {
		return nil, err
	}
	return s.service.Remove(r.Context(), removal)
}

func readBody(r *http.Request, into any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &Refusal{Code: "bad_request", Message: "the request does not decode: " + err.Error()}
	}
	return nil
}

// log streams records, a JSON object a line.
func (s *Server) log(w http.ResponseWriter, r *http.Request) {
	q, err := logQuery(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	emit, ctl := stream[LogLine](w)
	if err := s.service.Log(r.Context(), q, emit, ctl.Flush); err != nil && r.Context().Err() == nil {
		s.refuse(w, r, err)
	}
}

// changes streams the tasks that change, a JSON object a line.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	f, err := changesQuery(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	emit, ctl := stream[mirror.Change](w)
	told := func(c mirror.Change) error { return errors.Join(emit(c), ctl.Flush()) }
	if err := s.service.Changes(r.Context(), f, ctl.Flush, told); err != nil && r.Context().Err() == nil {
		s.refuse(w, r, err)
	}
}

// stream writes values as they come, a JSON object a line.
func stream[T any](w http.ResponseWriter) (emit func(T) error, ctl *http.ResponseController) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	ctl = http.NewResponseController(w)
	enc := newEncoder(w)
	return func(v T) error {
		if err := ctl.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		return enc.Encode(v)
	}, ctl
}

// raw streams lines as they are.
func (s *Server) raw(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	q := r.URL.Query()
	if err := s.service.Raw(r.Context(), q.Get("node"), q.Get("log"), w); err != nil {
		s.refuse(w, r, err)
	}
}

// events appends NDJSON: a line in, a line out. Lines that are there already
// are committed together; an answer never waits for lines that are not.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	ctl := http.NewResponseController(w)
	if err := ctl.EnableFullDuplex(); err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := newEncoder(w)
	in := bufio.NewReaderSize(r.Body, 64<<10)
	for {
		inputs, readErr := ReadGroup(in)
		for _, a := range s.service.Append(r.Context(), inputs) {
			if err := enc.Encode(a); err != nil {
				return
			}
		}
		if err := ctl.Flush(); err != nil {
			return
		}
		if errors.Is(readErr, ErrLong) {
			readErr = errors.Join(readErr, enc.Encode(Appended{Error: &Refusal{Code: "invalid_event", Message: readErr.Error()}}))
		}
		if readErr != nil {
			return
		}
	}
}
