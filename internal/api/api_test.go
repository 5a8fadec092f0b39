package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"auditmesh/audit"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/crdt"
	"auditmesh/mirror"
)

// fake answers as it is told.
type fake struct {
	err    error
	status Status
	asked  mirror.TaskQuery
	items  []crdt.Item
	groups [][]string
}

func (*fake) Identity() Identity { return Identity{Node: "n"} }

func (f *fake) Append(_ context.Context, inputs [][]byte) []Appended {
	var group []string
	out := make([]Appended, len(inputs))
	for i, in := range inputs {
		group = append(group, string(in))
		if f.err != nil {
			out[i].Error = Refuse(f.err)
		} else {
			out[i].Seq = uint64(i)
		}
	}
	f.groups = append(f.groups, group)
	return out
}

func (f *fake) Vitals() Status                               { return f.status }
func (f *fake) Status(context.Context, bool) (Status, error) { return f.status, f.err }
func (f *fake) Tasks(_ context.Context, q mirror.TaskQuery) (mirror.TaskPage, error) {
	f.asked = q
	return mirror.TaskPage{Tasks: f.items}, f.err
}
func (f *fake) Task(context.Context, string) ([]crdt.Item, error)    { return f.items, f.err }
func (f *fake) Review(context.Context, Review) (Appended, error)     { return Appended{}, f.err }
func (f *fake) Remove(context.Context, Removal) (Removed, error)     { return Removed{}, f.err }
func (*fake) Peers() []Peer                                          { return nil }
func (f *fake) Raw(context.Context, string, string, io.Writer) error { return f.err }
func (f *fake) Prove(_ context.Context, node, log string, seq uint64) ([]byte, error) {
	return fmt.Appendf(nil, "%s %s %d\n", node, log, seq), f.err
}
func (f *fake) Checkpoint(context.Context, string, string) ([]byte, error) {
	return []byte("checkpoint\n"), f.err
}
func (f *fake) Extends(_ context.Context, note []byte) ([]byte, error) { return note, f.err }
func (f *fake) Changes(ctx context.Context, filter mirror.Filter, begun func() error, emit func(mirror.Change) error) error {
	if err := begun(); err != nil {
		return err
	}
	if err := emit(mirror.Change{Node: filter.Nodes[0], RequestID: "aa", Missed: 7}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (f *fake) Log(ctx context.Context, q LogQuery, emit func(LogLine) error, caughtUp func() error) error {
	for i := range q.Limit {
		if err := emit(LogLine{Seq: uint64(i), Line: "{}"}); err != nil {
			return err
		}
	}
	if q.Follow {
		if err := caughtUp(); err != nil {
			return err
		}
		<-ctx.Done()
	}
	return f.err
}

// serve runs a server in a directory whose path is longer than a socket's
// address may be.
func serve(t *testing.T, f Service) *Client {
	t.Helper()
	c, _ := serveUntil(t, f, func(*Server) {})
	return c
}

// serveUntil is serve with a server that was set up otherwise, and a function that
// stops it and waits for its end.
func serveUntil(t *testing.T, f Service, setUp func(*Server)) (*Client, func()) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "api.sock")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := NewServer(f, path, slog.New(slog.NewTextHandler(t.Output(), nil)))
	setUp(s)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	c := NewClient(path)
	for {
		if _, err := c.Identity(t.Context()); err == nil {
			break
		} else if !errors.Is(err, ErrNoNode) {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is open to others: %v %v", info.Mode(), err)
	}
	if _, err := Listen(t.Context(), path); err == nil || !strings.Contains(err.Error(), "answers") {
		t.Errorf("a second server: %v", err)
	}
	return c, stop
}

// Each known error crosses the socket as itself; an unknown one as no more than
// that something failed.
func TestErrorsCross(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	for _, want := range []error{audit.ErrInDoubt, audit.ErrPoisoned, audit.ErrOverloaded, audit.ErrClosed, ErrDisabled, ErrNotFound, mirror.ErrCursor, mirror.ErrPrefix} {
		f.err = fmt.Errorf("%w: details", want)
		if _, err := c.Status(t.Context(), false); !errors.Is(err, want) || !strings.Contains(err.Error(), "details") {
			t.Errorf("status: %v, want %v", err, want)
		}
		out, err := c.Append(t.Context(), []byte("{}"))
		if err != nil || !errors.Is(out[0].Err(), want) {
			t.Errorf("append: %v, %v, want %v", out, err, want)
		}
	}
	f.err = errors.New("a secret path")
	if _, err := c.Status(t.Context(), false); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an internal error: %v", err)
	}
	f.err = &event.FieldError{Field: "pid", Reason: "is missing"}
	out, err := c.Append(t.Context(), []byte("{}"))
	if err != nil || out[0].Error.Field != "pid" || out[0].Error.Code != "invalid_event" {
		t.Errorf("%+v, %v", out, err)
	}
}

// Events are answered while the client still sends, in order, and in groups of
// what has arrived.
func TestAppendStreams(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	in, client := io.Pipe()
	answers := make(chan Appended)
	done := make(chan error, 1)
	go func() {
		done <- c.AppendStream(t.Context(), in, func(a Appended) error { answers <- a; return nil })
	}()
	for range 3 {
		fmt.Fprintf(client, "{}\n\n")
		if a := <-answers; a.Err() != nil {
			t.Fatal(a.Err())
		}
	}
	go func() {
		io.WriteString(client, strings.Repeat("{}\n", 2500)+"last without newline")
		client.Close()
	}()
	for range 2501 {
		<-answers
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, g := range f.groups {
		if len(g) > batchRecords {
			t.Errorf("a group of %d", len(g))
		}
	}
}

// Fault 31 and 37: a line beyond any limit is refused, and not kept in memory.
func TestEndlessLine(t *testing.T) {
	c := serve(t, &fake{})
	out, err := c.Append(t.Context(), []byte(strings.Repeat("x", 3*merkle.MaxLine)))
	if err != nil && len(out) == 0 {
		return // the answer came while we still wrote, and the connection ended
	}
	if len(out) != 1 || out[0].Err() == nil {
		t.Errorf("%v, %v", out, err)
	}
}

func TestLogFollowsAndEnds(t *testing.T) {
	c := serve(t, &fake{})
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := c.Log(ctx, LogQuery{Limit: 5, Follow: true}, func(LogLine) error {
		if n++; n == 5 {
			cancel()
		}
		return nil
	})
	if err != nil || n != 5 {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestChangesAreTold(t *testing.T) {
	c := serve(t, &fake{})
	ctx, cancel := context.WithCancel(t.Context())
	var told []Change
	begun := false
	err := c.Changes(ctx, mirror.Filter{Nodes: []string{"n"}}, func() error { begun = true; return nil }, func(x Change) error {
		told = append(told, x)
		cancel()
		return nil
	})
	if err != nil || !begun || len(told) != 1 || told[0].Node != "n" || told[0].Missed != 7 {
		t.Errorf("%v, %v, %v", begun, told, err)
	}
	if err := c.get(t.Context(), "/v1/changes", url.Values{"after": {"x"}}, nil); err == nil {
		t.Error("a parameter of a list was taken")
	}
}

func TestNoNode(t *testing.T) {
	if _, err := NewClient(filepath.Join(t.TempDir(), "api.sock")).Status(t.Context(), false); !errors.Is(err, ErrNoNode) {
		t.Errorf("%v", err)
	}
}

// Health says in its status code whether events can be appended, and in its body
// what is wrong; the metrics say it in Prometheus' format.
func TestHealthAndMetrics(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := c.http.Get("http://node" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(raw)
	}
	for _, want := range []struct {
		st     Status
		code   int
		health string
		metric string
	}{
		{Status{State: "ok"}, 200, `{"status":"ok","problems":[]}`, "auditmesh_log_writable 1"},
		{Status{State: "disabled", Disabled: true}, 200, `{"status":"ok","problems":[]}`, "auditmesh_log_writable 0"},
		{Status{State: "ok", SpaceLow: true, FreeBytes: 4096}, 200, `{"status":"degraded","problems":["the disk of the log is nearly full"]}`, "auditmesh_disk_free_bytes 4096"},
		{Status{State: "EIO", SpaceLow: true, WriteFailures: 3}, 503, `{"status":"failing","problems":["the disk of the log is nearly full","the log is not writable: EIO"]}`, "auditmesh_log_write_failures_total 3"},
		{Status{State: "ok", Vector: map[string]Held{"peer/log": {Stored: 5, Size: 4}}}, 200, `{"status":"ok","problems":[]}`, `auditmesh_held_records{log="log",node="peer"} 5`},
	} {
		f.status = want.st
		if code, body := get("/healthz"); code != want.code || body != want.health+"\n" {
			t.Errorf("health: %d %s, want %d %s", code, body, want.code, want.health)
		}
		if code, body := get("/metrics"); code != 200 || !strings.Contains(body, "\n"+want.metric+"\n") {
			t.Errorf("metrics: %d, without %s:\n%s", code, want.metric, body)
		}
	}
}

// Every field of a query crosses the socket as it is, and what is no parameter, or
// no word of one, is refused by name.
func TestTaskQueryCrosses(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	for _, q := range []mirror.TaskQuery{
		{Limit: 1},
		{Limit: 7, Oldest: true, After: "c", Filter: mirror.Filter{
			Nodes: []string{"a", "b"}, Agents: []string{"0"}, Machines: []string{"1"}, Requests: []string{"2"}, Events: []string{"x-a b"},
			Reasons: []string{"r"}, States: []string{mirror.StateFailed, mirror.StateDenied}, Since: 1, Until: 1<<64 - 1, Unreviewed: true, Removed: true, Text: "a&b=c",
		}},
		{Limit: 2, Filter: mirror.Filter{OnlyRemoved: true}},
	} {
		if _, err := c.Tasks(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(f.asked, q) {
			t.Errorf("asked %+v, arrived %+v", q, f.asked)
		}
	}
	for _, bad := range []string{"stat=failed", "state=broken", "since=x", "removed=maybe", "order=up", "limit=-1"} {
		resp, err := c.http.Get("http://node/v1/tasks?" + bad)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		name, _, _ := strings.Cut(bad, "=")
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(raw), name) {
			t.Errorf("%s: %d %s", bad, resp.StatusCode, raw)
		}
	}
}

// What is wrong with a body is said by its field, in words of JSON and not of Go.
func TestBodiesOfTheWrongKind(t *testing.T) {
	for body, want := range map[string]string{
		"":                  "has no body",
		"[]":                "is not a JSON object",
		`{"request_id":5}`:  "a JSON number does not belong there",
		`{"reason":"x"} {}`: "goes on after",
		`{"nonsense":"x"}`:  "unknown field",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/remove", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var removal Removal
		err = readBody(r, &removal)
		var ref *Refusal
		if !errors.As(err, &ref) || !strings.Contains(ref.Message, want) || strings.Contains(ref.Message, "Go ") {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// Only the deep status is a long question, whatever else is asked with that word.
func TestOnlyStatusIsDeep(t *testing.T) {
	for url, deep := range map[string]bool{
		"/v1/status?deep=true": true, "/v1/status": false, "/v1/log?follow=true&deep=true": false, "/v1/events?deep=true": false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if isDeep(r) != deep {
			t.Errorf("%s: %v", url, !deep)
		}
	}
}
