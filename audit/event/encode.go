package event

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"auditmesh/audit/merkle"
)

// FieldError says which field of an event is wrong and why.
type FieldError struct {
	Field  string // a place in it as in "argv/0"
	Reason string
}

func (e *FieldError) Error() string { return fmt.Sprintf("field %q: %s", e.Field, e.Reason) }

// Encode writes the event's line, newline included, in the form of x0x's
// ExecAudit: serde_json's compact output with the field order of the format.
// It fails with a *FieldError when the event does not fit the format.
func Encode(e Event) ([]byte, error) { return AppendLine(nil, e) }

// AppendLine is Encode onto dst. Where it fails it returns dst as it was.
func AppendLine(dst []byte, e Event) ([]byte, error) {
	if e, ok := e.(checker); ok {
		if err := e.check(); err != nil {
			return dst, err
		}
	}
	before, start := dst, len(dst)
	if app, ok := e.(*Application); ok {
		dst = append(dst, app.Body...)
	} else {
		dst = append(dst, eventStart...)
		dst = append(dst, e.Name()...)
		dst = append(dst, timeStart...)
		dst = strconv.AppendUint(dst, e.Time(), 10)
		c := e.fields(codec{mode: writing, buf: dst})
		if c.wrong != nil {
			return before, c.wrong
		}
		dst = c.buf
		dst = append(dst, '}')
	}
	dst = append(dst, '\n')
	if n := len(dst) - start; n > merkle.MaxLine {
		return before, &FieldError{longestField(dst[start:]), fmt.Sprintf("the line would have %d bytes, the limit is %d", n, merkle.MaxLine)}
	}
	return dst, nil
}

// longestField is the one to make shorter, of a line that is too long.
func longestField(line []byte) string {
	dec := jsontext.NewDecoder(bytes.NewReader(line))
	longest, most := "event", 0
	_, err := dec.ReadToken()
	for err == nil && dec.PeekKind() == jsontext.KindString {
		var name jsontext.Token
		if name, err = dec.ReadToken(); err != nil {
			break
		}
		field := name.String()
		var value jsontext.Value
		if value, err = dec.ReadValue(); len(value) > most {
			longest, most = field, len(value)
		}
	}
	return longest
}
