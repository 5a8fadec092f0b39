package event

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"auditmesh/audit/merkle"
)

// Decode reads a line (without its newline) of any log, leniently: unknown
// fields, kinds and reasons are accepted, an unknown event becomes *Unknown.
// What is not one JSON object in valid UTF-8 without duplicate names, or lacks
// a field that its event needs, is an error: such a record is shown as
// unreadable and operates on nothing. The rules are part of the fold (docs/formats.md).
func Decode(line []byte) (Event, error) {
	if e := canonical(line); e != nil {
		return e, nil
	}
	return decode(line, nil)
}

// ParseInput reads one event that a client wants appended, strictly: the five
// events exactly as the format has them, or an application's own "x-…".
// An absent "ts_unix_ms" becomes now; absent options become null. The error is
// a *FieldError where a field is at fault.
func ParseInput(input []byte, now uint64) (Event, error) {
	if len(input) > merkle.MaxLine {
		return nil, fmt.Errorf("the event has %d bytes, the limit is %d", len(input), merkle.MaxLine)
	}
	e, err := decode(input, &now)
	if err != nil {
		return nil, err
	}
	return e, e.check()
}

type head struct {
	Event     *string        `json:"event"`
	TS        jsontext.Value `json:"ts_unix_ms"`
	RequestID jsontext.Value `json:"request_id"`
}

// decode is lenient if stamp is nil; otherwise it is strict and stamps events
// without a time.
func decode(line []byte, stamp *uint64) (Event, error) {
	var h head
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, fieldError(err)
	}
	if h.Event == nil {
		return nil, &FieldError{"event", "is missing"}
	}
	ts, err := timeOf(h.TS, stamp)
	if strings.HasPrefix(*h.Event, "x-") {
		if err != nil {
			return nil, err
		}
		return decodeApplication(line, h, ts, stamp != nil)
	}
	w := wireFor(*h.Event)
	if stamp != nil && (w == nil || ByNode(*h.Event)) {
		return nil, &FieldError{"event", fmt.Sprintf("%q cannot be appended: give request, started, warning, exit, denial or a name that begins with \"x-\"", *h.Event)}
	}
	if w == nil {
		return &Unknown{EventName: *h.Event, TSUnixMS: ts}, nil
	}
	if err != nil {
		return nil, err
	}
	var opts []json.Options
	if stamp != nil {
		opts = append(opts, json.RejectUnknownMembers(true))
	}
	if err := json.Unmarshal(line, w, opts...); err != nil {
		return nil, fieldError(err)
	}
	return w.event(ts)
}

func timeOf(v jsontext.Value, stamp *uint64) (uint64, error) {
	if v == nil && stamp != nil {
		return *stamp, nil
	}
	if v == nil {
		return 0, &FieldError{"ts_unix_ms", "is missing"}
	}
	var ts *uint64
	if err := json.Unmarshal(v, &ts); err != nil || ts == nil {
		return 0, &FieldError{"ts_unix_ms", "is not an unsigned 64-bit integer"}
	}
	return *ts, nil
}

// decodeApplication keeps the line as it is when it comes from a log. On input
// it puts event, time and request first and drops white space, so that equal
// events have equal lines.
func decodeApplication(line []byte, h head, ts uint64, canonical bool) (Event, error) {
	e := &Application{EventName: *h.Event, TSUnixMS: ts, Body: line}
	if h.RequestID != nil {
		var id *RequestID
		if err := json.Unmarshal(h.RequestID, &id); err != nil || id == nil {
			return nil, &FieldError{"request_id", "is not 32 lower-case hex digits"}
		}
		e.HasRequest, e.RequestID = true, *id
	}
	if !canonical {
		return e, nil
	}
	body, err := canonicalApplication(line, e)
	if err != nil {
		return nil, err
	}
	e.Body = body
	return e, nil
}

func canonicalApplication(line []byte, e *Application) ([]byte, error) {
	body := append([]byte(nil), `{"event":`...)
	body = appendString(body, e.EventName)
	body = appendUint(body, "ts_unix_ms", e.TSUnixMS)
	if e.HasRequest {
		body = appendHex(body, "request_id", e.RequestID[:])
	}
	dec := jsontext.NewDecoder(bytes.NewReader(line))
	if _, err := dec.ReadToken(); err != nil {
		return nil, fieldError(err)
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, fieldError(err)
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, fieldError(err)
		}
		switch key {
		case "event", "ts_unix_ms", "request_id":
			continue
		}
		value = value.Clone()
		if err := value.Format(); err != nil { // one line, minimal escapes
			return nil, fieldError(err)
		}
		body = append(body, ',')
		body = appendString(body, key)
		body = append(body, ':')
		body = append(body, value...)
	}
	return append(body, '}'), nil
}

// fieldError turns the JSON package's errors into ours, which name the field.
func fieldError(err error) error {
	var sem *json.SemanticError
	if errors.As(err, &sem) {
		field := strings.TrimPrefix(string(sem.JSONPointer), "/")
		if errors.Is(sem.Err, json.ErrUnknownName) {
			return &FieldError{field, "is not a field of this event"}
		}
		if field != "" {
			return &FieldError{field, wrongType(sem)}
		}
		return errors.New("is not a JSON object")
	}
	var syn *jsontext.SyntacticError
	if errors.As(err, &syn) {
		field := strings.TrimPrefix(string(syn.JSONPointer), "/")
		if errors.Is(syn.Err, jsontext.ErrDuplicateName) {
			return &FieldError{field, "is given twice"}
		}
		return fmt.Errorf("is not valid JSON at byte %d: %w", syn.ByteOffset, syn.Err)
	}
	return fmt.Errorf("is not valid JSON: %w", err)
}

// wrongType says what a field wants to be.
func wrongType(sem *json.SemanticError) string {
	got := strings.TrimSpace(string(sem.JSONValue))
	if got == "" {
		got = sem.JSONKind.String()
	}
	if len(got) > 40 {
		got = got[:40] + "…"
	}
	var text encoding.TextUnmarshaler
	t := sem.GoType
	switch {
	case t == nil:
		return fmt.Sprintf("%s does not fit here", got)
	case t.Implements(reflect.TypeOf(&text).Elem()) || reflect.PointerTo(t).Implements(reflect.TypeOf(&text).Elem()):
		if sem.Err != nil {
			return sem.Err.Error()
		}
		return fmt.Sprintf("%s is not a string of hex digits", got)
	}
	switch t.Kind() {
	case reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("%s is not an unsigned integer of %d bits", got, t.Bits())
	case reflect.Int32:
		return fmt.Sprintf("%s is not an integer of %d bits", got, t.Bits())
	default:
		return fmt.Sprintf("%s is not a JSON %s", got, map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Slice: "array"}[t.Kind()])
	}
}
