package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// pieceBytes is the most that is written under one deadline.
const pieceBytes = 64 << 10

// answerWriter writes one answer. Each piece of it has a time of its own to be
// taken by the client, so a client that takes nothing holds no handler for longer.
type answerWriter struct {
	http.ResponseWriter
	ctl     *http.ResponseController
	timeout time.Duration // of one piece
	began   bool          // something was written, so a failure can only be shown by cutting the answer off
	broken  bool          // a piece could not be written: the client is gone, or takes nothing
}

func (s *Server) writerOf(w http.ResponseWriter) *answerWriter {
	return &answerWriter{ResponseWriter: w, ctl: http.NewResponseController(w), timeout: s.writeTimeout}
}

// extend gives what is written next its time.
func (w *answerWriter) extend() error { return w.ctl.SetWriteDeadline(time.Now().Add(w.timeout)) }

// Write is that of io.Writer.
func (w *answerWriter) Write(p []byte) (n int, err error) {
	w.began = true
	for first := true; err == nil && (first || n < len(p)); first = false {
		if err = w.extend(); err == nil {
			var k int
			k, err = w.ResponseWriter.Write(p[n:min(n+pieceBytes, len(p))])
			n += k
		}
	}
	w.broken = w.broken || err != nil
	return n, err
}

// WriteHeader is that of http.ResponseWriter.
func (w *answerWriter) WriteHeader(status int) {
	w.began = true
	w.ResponseWriter.WriteHeader(status)
}

// flush sends what was written, and the header if nothing was.
func (w *answerWriter) flush() error {
	w.began = true
	err := w.extend()
	if err == nil {
		err = w.ctl.Flush()
	}
	w.broken = w.broken || err != nil
	return err
}

// Unwrap lets http.ResponseController reach what is beneath.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// answer makes a handler of a function that returns what is to be written as JSON.
func (s *Server) answer(f func(*http.Request) (any, error)) func(*answerWriter, *http.Request) {
	return func(w *answerWriter, r *http.Request) {
		v, err := f(r)
		var body []byte
		if err == nil {
			body, err = encoded(v)
		}
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		s.send(w, "application/json", http.StatusOK, body)
	}
}

// send writes an answer whose length is known, so a client sees one that is cut.
func (s *Server) send(w *answerWriter, contentType string, status int, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.logger.Debug("answer not written", slog.Any("error", err))
	}
}

func (s *Server) refuse(w *answerWriter, r *http.Request, err error) {
	ref, status := refusal(err)
	if status == http.StatusInternalServerError {
		s.logger.Error("a request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	s.fail(w, ref, status)
}

func (s *Server) fail(w *answerWriter, ref *Refusal, status int) {
	body, err := encoded(ref)
	if err != nil {
		panic(err) // three strings
	}
	s.send(w, "application/json", status, body)
}

// stream is an answer of JSON objects, a line each, that go out as they come.
func (w *answerWriter) stream() *json.Encoder {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return newEncoder(w)
}

// end ends a stream. One that failed, or whose end the node's stop brought, is
// cut off without HTTP's mark of an end, so that no client takes a part for the
// whole. Where its lines are JSON, a last one says why first.
func (s *Server) end(w *answerWriter, r *http.Request, err error, lines *json.Encoder) {
	if err = cmp.Or(err, r.Context().Err()); err == nil {
		return
	}
	ref, status := refusal(err)
	if r.Context().Err() != nil {
		ref, status = stopping(), http.StatusServiceUnavailable
	}
	level := slog.LevelDebug
	if status == http.StatusInternalServerError && !w.broken {
		level = slog.LevelError
	}
	s.logger.LogAttrs(r.Context(), level, "a stream failed", slog.String("path", r.URL.Path), slog.Any("error", err))
	if !w.began {
		s.fail(w, ref, status)
		return
	}
	if !w.broken {
		if lines != nil {
			err = lines.Encode(lastLine{ref})
		}
		if err = errors.Join(err, w.flush()); err != nil {
			s.logger.Debug("the reason was not written", slog.Any("error", err))
		}
	}
	panic(http.ErrAbortHandler)
}

// lastLine is the last line of a stream that failed.
type lastLine struct {
	Error *Refusal `json:"error"`
}

func encoded(v any) ([]byte, error) {
	var b bytes.Buffer
	err := newEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func newEncoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// endsReading makes reads of a request's body fail once the node stops or the
// client left, so that no handler waits for a client that sends nothing. The
// function that it returns ends that.
func (w *answerWriter) endsReading(ctx context.Context) func() bool {
	return context.AfterFunc(ctx, func() {
		_ = w.ctl.SetReadDeadline(time.Unix(1, 0)) // if it fails, Run closes the connection a little later
	})
}
