package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"auditmesh/audit"
	"auditmesh/crdt"
	"auditmesh/mirror"
)

// patient is a service whose readers wait until their client left. It tells who
// waits, and who ended.
type patient struct {
	fake
	waits, ended chan string
}

func newPatient() *patient {
	return &patient{fake: fake{status: Status{State: "ok"}}, waits: make(chan string, 1024), ended: make(chan string, 1024)}
}

func (p *patient) wait(ctx context.Context, name string) error {
	p.waits <- name
	<-ctx.Done()
	p.ended <- name
	return ctx.Err()
}

func (p *patient) Status(ctx context.Context, _ bool) (Status, error) {
	return Status{}, p.wait(ctx, "status")
}
func (p *patient) Tasks(ctx context.Context, _ mirror.TaskQuery) (mirror.TaskPage, error) {
	return mirror.TaskPage{}, p.wait(ctx, "tasks")
}
func (p *patient) Task(ctx context.Context, _ string) ([]crdt.Item, error) {
	return nil, p.wait(ctx, "task")
}
func (p *patient) Prove(ctx context.Context, _, _ string, _ uint64) ([]byte, error) {
	return nil, p.wait(ctx, "prove")
}
func (p *patient) Checkpoint(ctx context.Context, _, _ string) ([]byte, error) {
	return nil, p.wait(ctx, "checkpoint")
}
func (p *patient) Extends(ctx context.Context, _ []byte) ([]byte, error) {
	return nil, p.wait(ctx, "extends")
}
func (p *patient) Log(ctx context.Context, _ LogQuery, _ func(LogLine) error, caughtUp func() error) error {
	return errors.Join(caughtUp(), p.wait(ctx, "log"))
}
func (p *patient) Raw(ctx context.Context, _, _ string, _ io.Writer) error { return p.wait(ctx, "raw") }
func (p *patient) Changes(ctx context.Context, _ mirror.Filter, begun func() error, _ func(mirror.Change) error) error {
	return errors.Join(begun(), p.wait(ctx, "changes"))
}
func (p *patient) Remove(ctx context.Context, _ Removal) (Removed, error) {
	return Removed{}, p.wait(ctx, "remove")
}
func (p *patient) Review(ctx context.Context, _ Review) (Appended, error) {
	return Appended{}, p.wait(ctx, "review")
}

// Every handler ends with its client.
func TestHandlersHaveTheirClientsContext(t *testing.T) {
	p := newPatient()
	c := serve(t, p)
	for name, request := range map[string]string{
		"status": "GET /v1/status?deep=true", "tasks": "GET /v1/tasks", "task": "GET /v1/tasks/0000", "prove": "GET /v1/proof?seq=1", "checkpoint": "GET /v1/checkpoint",
		"extends": "POST /v1/consistency", "log": "GET /v1/log", "raw": "GET /v1/raw", "changes": "GET /v1/changes", "remove": "POST /v1/remove", "review": "POST /v1/review",
	} {
		method, path, _ := strings.Cut(request, " ")
		ctx, leave := context.WithCancel(t.Context())
		go func() { <-p.waits; leave() }()
		var in io.Reader
		if method == http.MethodPost {
			in = struct{ io.Reader }{strings.NewReader("{}")} // of no known length
		}
		body, err := c.do(ctx, method, path, nil, in)
		if err == nil {
			io.Copy(io.Discard, body)
			body.Close()
		}
		if got := <-p.ended; got != name {
			t.Errorf("%s ended, want %s", got, name)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-p.waits; leave() }()
	if _, err := c.do(ctx, http.MethodGet, "/metrics", nil, nil); err == nil {
		t.Error("metrics without a status")
	}
	<-p.ended
}

// A body that nobody reads would hide that its client leaves.
func TestQuestionsHaveNoBody(t *testing.T) {
	c := serve(t, newPatient())
	if _, err := c.do(t.Context(), http.MethodGet, "/v1/tasks", nil, strings.NewReader("{}")); err == nil || !strings.Contains(err.Error(), "no body") {
		t.Errorf("%v", err)
	}
	if _, err := c.do(t.Context(), http.MethodPost, "/v1/review", nil, strings.NewReader("{} {}")); err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("%v", err)
	}
}

// Fault 54: however many readers there are, idle or waiting, appends are taken, and
// health and the short questions answered. One reader too many is told.
func TestReadersKeepNoWriterWaiting(t *testing.T) {
	p := newPatient()
	c := serve(t, p)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	ends := make(chan error)
	readers := map[string]func() error{
		"/v1/log":     func() error { return c.Log(ctx, LogQuery{Follow: true}, func(LogLine) error { return nil }) },
		"/v1/tasks":   func() error { _, err := c.Tasks(ctx, mirror.TaskQuery{}); return err },
		"/v1/status?": func() error { _, err := c.Status(ctx, true); return err },
	}
	for range slotsOf(streams) {
		go func() { ends <- readers["/v1/log"]() }()
	}
	for i := range slotsOf(questions) {
		go func() { ends <- readers[[]string{"/v1/tasks", "/v1/status?"}[i%2]]() }()
	}
	for range slotsOf(streams) + slotsOf(questions) {
		<-p.waits
	}
	for name, read := range readers {
		if err := read(); !errors.Is(err, audit.ErrOverloaded) {
			t.Errorf("%s: one reader too many: %v", name, err)
		}
	}
	if out, err := c.Append(t.Context(), []byte("{}")); err != nil || out[0].Err() != nil {
		t.Errorf("append: %v, %v", out, err)
	}
	if _, err := c.Identity(t.Context()); err != nil {
		t.Errorf("identity: %v", err)
	}
	var h Health
	if err := c.get(t.Context(), "/healthz", nil, &h); err != nil || h.Status == "" {
		t.Errorf("health: %+v, %v", h, err)
	}
	leave()
	for range slotsOf(streams) + slotsOf(questions) {
		<-ends
	}
}

// Clients that left, and one that stays, keep the node from stopping no longer than
// their requests take to see it.
func TestStopWaitsForNoReader(t *testing.T) {
	p := newPatient()
	c, stop := serveUntil(t, p, func(*Server) {})
	ended := make(chan error)
	for i := range 4 {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		go func() { _, err := c.Status(ctx, true); ended <- err }()
		<-p.waits
		if i < 3 {
			leave()
			<-ended
			<-p.ended
		}
	}
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > shutdownTimeout {
		t.Errorf("the stop took %s", took)
	}
	<-p.ended
	if err := <-ended; err == nil {
		t.Error("a status that the stop ended")
	}
}

// endless is a service of large answers.
type endless struct{ fake }

func (e *endless) Raw(ctx context.Context, _, _ string, w io.Writer) error {
	for {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

func (e *endless) Log(_ context.Context, _ LogQuery, emit func(LogLine) error, _ func() error) error {
	for {
		if err := emit(LogLine{Line: strings.Repeat("x", 1<<20)}); err != nil {
			return err
		}
	}
}

func (e *endless) Changes(_ context.Context, _ mirror.Filter, _ func() error, emit func(mirror.Change) error) error {
	for {
		if err := emit(mirror.Change{Node: strings.Repeat("x", 1<<20)}); err != nil {
			return err
		}
	}
}

// A client that reads nothing holds its handler for as long as one piece may take,
// and then no longer: on every route, whether it answers whole or in a stream.
func TestEveryAnswerHasAWriteDeadline(t *testing.T) {
	const large = 2 << 20 // more than a socket takes
	e := new(endless)
	e.items = []crdt.Item{{Argv: []string{strings.Repeat("x", large)}}}
	e.status = Status{LogPath: strings.Repeat("x", large), Damaged: map[string]string{"dir": strings.Repeat("x", large)}, Conflicts: map[string]int{strings.Repeat("x", large): 1}}
	var s *Server
	c, _ := serveUntil(t, e, func(made *Server) { s, made.writeTimeout = made, 50*time.Millisecond })
	for _, path := range []string{"/v1/raw", "/v1/log", "/v1/changes", "/v1/tasks", "/v1/tasks/0000", "/v1/status", "/healthz", "/metrics"} {
		conn, err := Dial(t.Context(), s.path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: node\r\n\r\n")
		if _, err := io.ReadFull(conn, make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		s.answering.Lock()   // when no request is answered any more
		s.answering.Unlock() //nolint:staticcheck // to wait for them is all
		conn.Close()
	}
	if _, err := c.Identity(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// What is answered slowly, in pieces, by a client that reads them, may take any time.
func TestSlowReaderThatReadsIsServed(t *testing.T) {
	s := &Server{writeTimeout: 200 * time.Millisecond}
	server, client := net.Pipe()
	defer client.Close()
	const pieces = 8
	done := make(chan error, 1)
	go func() {
		w := s.writerOf(&pipeWriter{Conn: server})
		_, err := w.Write(make([]byte, pieces*pieceBytes))
		done <- err
	}()
	for range pieces {
		<-time.After(s.writeTimeout / 2)
		if _, err := io.ReadFull(client, make([]byte, pieceBytes)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// pipeWriter is an answer that is written straight to a connection.
type pipeWriter struct{ net.Conn }

func (*pipeWriter) Header() http.Header { return http.Header{} }
func (*pipeWriter) WriteHeader(int)     {}
