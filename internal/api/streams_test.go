package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"auditmesh/audit"
	"auditmesh/mirror"
)

// failing is a service whose streams begin well, and then end as it is told.
type failing struct {
	fake
	fail func(ctx context.Context) error // called once something was sent
}

func (f *failing) Log(ctx context.Context, q LogQuery, emit func(LogLine) error, caughtUp func() error) error {
	if err := f.fake.Log(ctx, LogQuery{Limit: q.Limit}, emit, caughtUp); err != nil {
		return err
	}
	return errors.Join(caughtUp(), f.fail(ctx))
}

func (f *failing) Raw(ctx context.Context, _, _ string, w io.Writer) error {
	_, err := w.Write([]byte(strings.Repeat("line\n", 1000)))
	return errors.Join(err, f.fail(ctx))
}

func (f *failing) Changes(ctx context.Context, _ mirror.Filter, begun func() error, emit func(mirror.Change) error) error {
	return errors.Join(begun(), emit(mirror.Change{Node: "n"}), f.fail(ctx))
}

// streamsOf are all streams that a client reads, by name; each says how much came.
func streamsOf(c *Client) map[string]func(context.Context) (int, error) {
	return map[string]func(context.Context) (int, error){
		"log": func(ctx context.Context) (n int, err error) {
			return n, c.Log(ctx, LogQuery{Limit: 5}, func(LogLine) error { n++; return nil })
		},
		"log, followed": func(ctx context.Context) (n int, err error) {
			return n, c.Log(ctx, LogQuery{Limit: 5, Follow: true}, func(LogLine) error { n++; return nil })
		},
		"changes": func(ctx context.Context) (n int, err error) {
			return n, c.Changes(ctx, mirror.Filter{}, func() error { return nil }, func(Change) error { n++; return nil })
		},
		"raw": func(ctx context.Context) (int, error) {
			var b bytes.Buffer
			err := c.Raw(ctx, "", "", &b)
			return b.Len(), err
		},
	}
}

// Fault 56: a stream that fails after it began is an error at its client, which
// says why where its lines are JSON; what came before arrived.
func TestStreamThatFailsIsCutOff(t *testing.T) {
	f := &failing{fail: func(context.Context) error { return fmt.Errorf("%w: the disk is gone", audit.ErrPoisoned) }}
	for name, read := range streamsOf(serve(t, f)) {
		t.Run(name, func(t *testing.T) {
			n, err := read(t.Context())
			if n == 0 || err == nil {
				t.Fatalf("%d came, and %v", n, err)
			}
			if name == "raw" && !errors.Is(err, ErrBroken) || name != "raw" && (!errors.Is(err, audit.ErrPoisoned) || !strings.Contains(err.Error(), "the disk is gone")) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A program that knows nothing of us sees it too: HTTP's mark of an end is missing.
func TestCutStreamIsNoWholeBody(t *testing.T) {
	f := &failing{fail: func(context.Context) error { return errors.New("a secret path") }}
	c := serve(t, f)
	for _, path := range []string{"/v1/log", "/v1/changes", "/v1/raw"} {
		resp, err := c.http.Get("http://node" + path)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(string(raw), "secret") {
			t.Errorf("%s: %d, %v: %.200s", path, resp.StatusCode, err, raw)
		}
	}
}

// A failure before anything was sent is a refusal with its status, as ever.
func TestStreamThatNeverBegan(t *testing.T) {
	f := &fake{err: fmt.Errorf("%w: nothing", ErrNotFound)}
	c := serve(t, f)
	for _, path := range []string{"/v1/raw", "/v1/log?limit=0"} {
		resp, err := c.http.Get("http://node" + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// The stop of the node under a stream is no end of it; a client that left is none
// to tell, and has no error.
func TestStreamsWhenTheNodeStops(t *testing.T) {
	for name := range streamsOf(nil) {
		t.Run(name, func(t *testing.T) {
			waits := make(chan struct{}, 1)
			f := &failing{fail: func(ctx context.Context) error {
				waits <- struct{}{}
				<-ctx.Done()
				return nil // as followers end
			}}
			c, stop := serveUntil(t, f, func(*Server) {})
			ended := make(chan error, 1)
			go func() {
				_, err := streamsOf(c)[name](t.Context())
				ended <- err
			}()
			<-waits
			stop()
			if err := <-ended; err == nil {
				t.Error("a stream that the node's stop ended looks whole")
			}
		})
	}
}

func TestStreamsWhoseClientLeaves(t *testing.T) {
	waits, left := make(chan struct{}, 1), make(chan struct{}, 1)
	f := &failing{fail: func(ctx context.Context) error {
		waits <- struct{}{}
		<-ctx.Done()
		left <- struct{}{}
		return nil
	}}
	for name, read := range streamsOf(serve(t, f)) {
		ctx, leave := context.WithCancel(t.Context())
		go func() { <-waits; leave() }()
		endless := name == "changes" || name == "log, followed"
		if _, err := read(ctx); endless != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		<-left // the handler's context is its client's
	}
}

// An append stream that the node's stop ends is an error at its client at once:
// it waits for input that may never come.
func TestAppendStreamWhenTheNodeStops(t *testing.T) {
	c, stop := serveUntil(t, &fake{}, func(*Server) {})
	in, client := io.Pipe()
	defer client.Close()
	answers, ended := make(chan Appended), make(chan error, 1)
	go func() {
		ended <- c.AppendStream(t.Context(), in, func(a Appended) error { answers <- a; return nil })
	}()
	fmt.Fprintln(client, "{}")
	<-answers
	stop()
	if err := <-ended; err == nil {
		t.Error("it looks as if all was committed")
	}
}

// What is answered at once has a length, by which a client sees that it was cut.
func TestAnswersHaveALength(t *testing.T) {
	f := &fake{}
	c := serve(t, f)
	for _, path := range []string{"/v1/identity", "/v1/status", "/v1/tasks", "/v1/peers", "/v1/proof?seq=1", "/v1/checkpoint", "/healthz", "/v1/nothing"} {
		resp, err := c.http.Get("http://node" + path)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.ContentLength != int64(len(raw)) || len(raw) == 0 {
			t.Errorf("%s: %d bytes of %d, %v", path, len(raw), resp.ContentLength, err)
		}
	}
}
