package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

func (s *Server) tasks(r *http.Request) (any, error) {
	q, err := taskQuery(r.URL.Query(), 50)
	if err != nil {
		return nil, err
	}
	page, err := s.service.Tasks(r.Context(), q)
	if err != nil {
		return nil, err
	}
	out := TaskPage{Tasks: s.marked(page.Tasks), Next: page.Next, Partial: page.Partial, Damaged: s.service.Vitals().Damaged}
	for _, t := range out.Tasks {
		if t.AheadMS > 0 {
			out.Ahead++
		}
	}
	return out, nil
}

func (s *Server) task(r *http.Request) (any, error) {
	items, err := s.service.Task(r.Context(), r.PathValue("id"))
	if err == nil && len(items) == 0 {
		err = fmt.Errorf("%w: no task has a request id that begins with %s", ErrNotFound, r.PathValue("id"))
	}
	return s.marked(items), err
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
	err := dec.Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return &Refusal{Code: "bad_request", Message: "the request has no body: it is one JSON object"}
	case errors.As(err, &wrong) && wrong.Field == "":
		return &Refusal{Code: "bad_request", Message: "the request is not a JSON object"}
	case errors.As(err, &wrong):
		return &Refusal{Code: "bad_request", Field: wrong.Field, Message: "a JSON " + wrong.Value + " does not belong there"}
	case err != nil:
		return &Refusal{Code: "bad_request", Message: "the request does not decode: " + strings.TrimPrefix(err.Error(), "json: ")}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return &Refusal{Code: "bad_request", Message: "the request goes on after its JSON object"}
	}
	return nil
}

func badParameter(name string) error {
	return &Refusal{Code: "bad_parameter", Field: name, Message: "the parameter " + name + " is not a number"}
}
