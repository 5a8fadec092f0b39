package event

import (
	"fmt"
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
	return careful(line, nil)
}

// ParseInput reads one event that a client wants appended, strictly: the five
// events exactly as the format has them, or an application's own "x-…".
// An absent "ts_unix_ms" becomes now; absent options become null. The error is
// a *FieldError where a field is at fault.
func ParseInput(input []byte, now uint64) (Event, error) {
	if len(input) > merkle.MaxLine {
		return nil, fmt.Errorf("the event has %d bytes, the limit is %d", len(input), merkle.MaxLine)
	}
	e := canonical(input)
	if e == nil || ByNode(e.Name()) {
		var err error
		if e, err = careful(input, &now); err != nil {
			return nil, err
		}
	}
	return e, check(e)
}

// opening is what is read of a line before it is known which event it is.
type opening struct {
	Event     *string        `json:"event"`
	TS        jsontext.Value `json:"ts_unix_ms"`
	RequestID jsontext.Value `json:"request_id"`
}

// careful reads a line in whatever form its JSON is. It is lenient if stamp is nil;
// otherwise it is strict and stamps events without a time.
func careful(line []byte, stamp *uint64) (Event, error) {
	var o opening
	if err := json.Unmarshal(line, &o); err != nil {
		return nil, fieldError(err)
	}
	if o.Event == nil {
		return nil, &FieldError{"event", "is missing"}
	}
	strict := stamp != nil
	ts, err := o.time(stamp)
	if strings.HasPrefix(*o.Event, "x-") {
		if err != nil {
			return nil, err
		}
		return decodeApplication(line, o, ts, strict)
	}
	k := kindOf([]byte(*o.Event))
	switch {
	case strict && (k == nil || k.byNode):
		return nil, &FieldError{"event", fmt.Sprintf("%q cannot be appended: give request, started, warning, exit, denial or a name that begins with \"x-\"", *o.Event)}
	case k == nil:
		return &Unknown{EventName: *o.Event, TSUnixMS: ts}, nil
	case err != nil:
		return nil, err
	}
	e := k.make(ts)
	if err := readFields(line, e, strict); err != nil {
		return nil, err
	}
	if k.byNode {
		return e, check(e)
	}
	return e, nil
}

func (o opening) time(stamp *uint64) (uint64, error) {
	if o.TS == nil && stamp != nil {
		return *stamp, nil
	}
	if o.TS == nil {
		return 0, &FieldError{"ts_unix_ms", "is missing"}
	}
	var ts *uint64
	if err := json.Unmarshal(o.TS, &ts); err != nil || ts == nil {
		return 0, &FieldError{"ts_unix_ms", "is not an unsigned 64-bit integer"}
	}
	return *ts, nil
}
