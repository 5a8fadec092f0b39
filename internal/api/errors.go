package api

import (
	"context"
	"errors"
	"net/http"

	"auditmesh/audit"
	"auditmesh/audit/event"
	"auditmesh/audit/segment"
	"auditmesh/mirror"
)

// ErrNotFound is returned for what is not here.
var ErrNotFound = errors.New("not found")

// ErrDisabled is returned for an append while auditing is disabled.
var ErrDisabled = errors.New("auditing is disabled: audit_log_path is empty")

// table maps errors to HTTP statuses and to words for programs. What is not in
// it is internal: users see that it happened, the node's log what it was.
var table = []struct {
	err    error
	status int
	code   string
}{
	{audit.ErrInDoubt, http.StatusServiceUnavailable, "in_doubt"},
	{audit.ErrPoisoned, http.StatusServiceUnavailable, "poisoned"},
	{audit.ErrOverloaded, http.StatusTooManyRequests, "overloaded"},
	{audit.ErrClosed, http.StatusServiceUnavailable, "closed"},
	{segment.ErrUnsigned, http.StatusConflict, "not_signed"},
	{segment.ErrRetired, http.StatusGone, "retired"},
	{ErrDisabled, http.StatusConflict, "disabled"},
	{ErrNotFound, http.StatusNotFound, "not_found"},
	{mirror.ErrCursor, http.StatusBadRequest, "bad_cursor"},
	{mirror.ErrPrefix, http.StatusBadRequest, "bad_request_id"},
	{context.Canceled, http.StatusServiceUnavailable, "stopping"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "timed_out"},
}

// refusal is the answer for an error, and its HTTP status.
func refusal(err error) (*Refusal, int) {
	var field *event.FieldError
	if errors.As(err, &field) {
		return &Refusal{Code: "invalid_event", Field: field.Field, Message: field.Error()}, http.StatusBadRequest
	}
	var known *Refusal
	if errors.As(err, &known) {
		return known, http.StatusBadRequest
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			return &Refusal{Code: row.code, Message: err.Error()}, row.status
		}
	}
	return &Refusal{Code: "internal", Message: "the node failed to answer; its own log says why"}, http.StatusInternalServerError
}

// standing makes a refusal that came over the wire stand for the error that its
// code names.
func standing(r *Refusal) *Refusal {
	for _, row := range table {
		if row.code == r.Code {
			r.stands = row.err
		}
	}
	return r
}

// Refuse is the answer to an event that failed with err.
func Refuse(err error) *Refusal {
	r, _ := refusal(err)
	return r
}
