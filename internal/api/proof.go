package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// maxCheckpoint bounds a checkpoint that a client sends.
const maxCheckpoint = 4096

// text makes a handler of a function that returns a C2SP text.
func (s *Server) text(f func(*http.Request) ([]byte, error)) func(*answerWriter, *http.Request) {
	return func(w *answerWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		s.send(w, "text/plain; charset=utf-8", http.StatusOK, v)
	}
}

func (s *Server) prove(r *http.Request) ([]byte, error) {
	q := r.URL.Query()
	seq, err := strconv.ParseUint(q.Get("seq"), 10, 63)
	if err != nil {
		return nil, badParameter("seq")
	}
	return s.service.Prove(r.Context(), q.Get("node"), q.Get("log"), seq)
}

func (s *Server) checkpoint(r *http.Request) ([]byte, error) {
	q := r.URL.Query()
	return s.service.Checkpoint(r.Context(), q.Get("node"), q.Get("log"))
}

func (s *Server) extends(r *http.Request) ([]byte, error) {
	note, err := io.ReadAll(io.LimitReader(r.Body, maxCheckpoint+1))
	if err != nil {
		return nil, err
	}
	if len(note) > maxCheckpoint {
		return nil, &Refusal{Code: "bad_checkpoint", Message: "a checkpoint has at most 4096 bytes"}
	}
	return s.service.Extends(r.Context(), note)
}

// Prove is the inclusion proof of a record; node and log may be empty.
func (c *Client) Prove(ctx context.Context, node, log string, seq uint64) ([]byte, error) {
	return c.text(ctx, http.MethodGet, "/v1/proof", url.Values{"node": {node}, "log": {log}, "seq": {strconv.FormatUint(seq, 10)}}, nil)
}

// Checkpoint is the greatest checkpoint held of a log; node and log may be empty.
func (c *Client) Checkpoint(ctx context.Context, node, log string) ([]byte, error) {
	return c.text(ctx, http.MethodGet, "/v1/checkpoint", url.Values{"node": {node}, "log": {log}}, nil)
}

// Extends is the proof that a log begins with what an earlier checkpoint states.
func (c *Client) Extends(ctx context.Context, checkpoint []byte) ([]byte, error) {
	return c.text(ctx, http.MethodPost, "/v1/consistency", nil, bytes.NewReader(checkpoint))
}

// maxText bounds what a node answers: a proof holds one line in base64.
const maxText = 4 << 20

func (c *Client) text(ctx context.Context, method, path string, q url.Values, body io.Reader) ([]byte, error) {
	answer, err := c.do(ctx, method, path, q, body)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	raw, err := io.ReadAll(io.LimitReader(answer, maxText+1))
	if err != nil {
		return nil, broken(err)
	}
	if len(raw) > maxText {
		return nil, errors.New("the node's answer is too long")
	}
	return raw, nil
}
