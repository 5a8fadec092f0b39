package api

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"

	"auditmesh/mirror"
)

// damagedHeader says how many copies are damaged, whose records an answer lacks.
const damagedHeader = "Auditmesh-Damaged-Copies"

// log streams records, a JSON object a line.
func (s *Server) log(w *answerWriter, r *http.Request) {
	q, err := logQuery(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if n := len(s.service.Vitals().Damaged); n > 0 {
		w.Header().Set(damagedHeader, strconv.Itoa(n))
	}
	lines := w.stream()
	err = s.service.Log(r.Context(), q, func(l LogLine) error {
		l.AheadMS = Ahead(l.Time, s.now())
		return lines.Encode(l)
	}, w.flush)
	s.end(w, r, err, lines)
}

// changes streams the tasks that change, a JSON object a line.
func (s *Server) changes(w *answerWriter, r *http.Request) {
	f, err := changesQuery(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	lines := w.stream()
	err = s.service.Changes(r.Context(), f, w.flush, func(c mirror.Change) error {
		return errors.Join(lines.Encode(s.markedChange(c)), w.flush())
	})
	s.end(w, r, err, lines)
}

// raw streams lines as they are.
func (s *Server) raw(w *answerWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/octet-stream")
	q := r.URL.Query()
	s.end(w, r, s.service.Raw(r.Context(), q.Get("node"), q.Get("log"), w), nil)
}

// events appends NDJSON: a line in, a line out. Lines that are there already
// are committed together; an answer never waits for lines that are not.
func (s *Server) events(w *answerWriter, r *http.Request) {
	if err := w.ctl.EnableFullDuplex(); err != nil {
		s.refuse(w, r, err)
		return
	}
	defer w.endsReading(r.Context())()
	answers := w.stream()
	in := bufio.NewReaderSize(r.Body, 64<<10)
	for {
		inputs, readErr := ReadArrived(in)
		var err error
		for _, a := range s.service.Append(r.Context(), inputs) {
			err = errors.Join(err, answers.Encode(a))
		}
		err = errors.Join(err, w.flush())
		if errors.Is(readErr, ErrLong) {
			err = errors.Join(err, answers.Encode(Appended{Error: &Refusal{Code: "invalid_event", Message: readErr.Error()}}))
		} else if !errors.Is(readErr, io.EOF) {
			err = errors.Join(err, readErr)
		}
		if readErr != nil || err != nil {
			s.end(w, r, err, nil)
			return
		}
	}
}
