package event

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Application is an application's own event, named "x-…". Body is the whole
// line as it stands in the log; a task is joined where HasRequest is set.
type Application struct {
	EventName  string
	TSUnixMS   uint64
	HasRequest bool
	RequestID  RequestID
	Body       []byte
}

// Unknown is an event of a name that this version does not know. It is kept and
// shown, and operates on nothing.
type Unknown struct {
	EventName string
	TSUnixMS  uint64
}

// Name is the line's "event".
func (e *Application) Name() string { return e.EventName }

// Name is the line's "event".
func (e *Unknown) Name() string { return e.EventName }

// Time is the line's "ts_unix_ms".
func (e *Application) Time() uint64 { return e.TSUnixMS }

// Time is the line's "ts_unix_ms", 0 if it has none.
func (e *Unknown) Time() uint64 { return e.TSUnixMS }

// An application's fields are nobody's but its own: they stay in Body.
func (*Application) fields(c codec) codec { return c }

func (*Unknown) fields(c codec) codec { return c }

func (e *Application) check() error {
	if len(e.Body) == 0 || bytes.IndexByte(e.Body, '\n') >= 0 {
		return &FieldError{"event", "an application's event is made by ParseInput"}
	}
	return nil
}

func (e *Unknown) check() error {
	return &FieldError{"event", fmt.Sprintf("%q is not an event that can be written; applications' own begin with \"x-\"", e.EventName)}
}

// decodeApplication keeps the line as it is when it comes from a log. On input
// it puts event, time and request first and drops white space, so that equal
// events have equal lines.
func decodeApplication(line []byte, o opening, ts uint64, input bool) (Event, error) {
	e := &Application{EventName: *o.Event, TSUnixMS: ts, Body: line}
	if o.RequestID != nil {
		var id *RequestID
		if err := json.Unmarshal(o.RequestID, &id); err != nil || id == nil {
			return nil, &FieldError{"request_id", "is not 32 lower-case hex digits"}
		}
		e.HasRequest, e.RequestID = true, *id
	}
	if !input {
		return e, nil
	}
	body, err := applicationLine(line, e)
	if err != nil {
		return nil, err
	}
	e.Body = body
	return e, nil
}

func applicationLine(input []byte, e *Application) ([]byte, error) {
	c := codec{buf: appendString([]byte(`{"event":`), e.EventName)}
	c.writeUint("ts_unix_ms", e.TSUnixMS)
	if e.HasRequest {
		c.writeHex("request_id", e.RequestID[:])
	}
	dec := jsontext.NewDecoder(bytes.NewReader(input))
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
		c.buf = append(appendString(append(c.buf, ','), key), ':')
		c.buf = append(c.buf, value...)
	}
	return append(c.buf, '}'), nil
}
