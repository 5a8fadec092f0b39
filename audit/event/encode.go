package event

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"unicode/utf8"

	"auditmesh/audit/merkle"
)

// FieldError says which field of an event is wrong and why.
type FieldError struct {
	Field  string
	Reason string
}

func (e *FieldError) Error() string { return fmt.Sprintf("field %q: %s", e.Field, e.Reason) }

// Encode writes the event's line, newline included, in the form of x0x's
// ExecAudit: serde_json's compact output with the field order of the format.
// It fails with a *FieldError when the event does not fit the format.
func Encode(e Event) ([]byte, error) { return AppendLine(nil, e) }

// AppendLine is Encode onto dst.
func AppendLine(dst []byte, e Event) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	start := len(dst)
	if app, ok := e.(*Application); ok {
		dst = append(dst, app.Body...)
	} else {
		dst = append(dst, `{"event":"`...)
		dst = append(dst, e.Name()...)
		dst = append(dst, `","ts_unix_ms":`...)
		dst = strconv.AppendUint(dst, e.Time(), 10)
		dst = e.appendFields(dst)
		dst = append(dst, '}')
	}
	dst = append(dst, '\n')
	if n := len(dst) - start; n > merkle.MaxLine {
		return dst[:start], &FieldError{Field: longestField(e), Reason: fmt.Sprintf("the line would have %d bytes, the limit is %d", n, merkle.MaxLine)}
	}
	return dst, nil
}

func longestField(e Event) string {
	switch e.(type) {
	case *Request, *Denial:
		return "argv"
	default:
		return "event"
	}
}

func (e *Request) check() error {
	if e.MatchedACL != nil && !utf8.ValidString(*e.MatchedACL) {
		return &FieldError{"matched_acl", "is not valid UTF-8"}
	}
	return checkArgv(e.Argv)
}

func (*Started) check() error { return nil }

func (e *Warning) check() error {
	if !warningKinds[e.Kind] {
		return &FieldError{"kind", fmt.Sprintf("%q is not a kind of warning; see docs/formats.md", e.Kind)}
	}
	return nil
}

func (*Exit) check() error { return nil }

func (e *Denial) check() error {
	if !denialReasons[e.Reason] {
		return &FieldError{"reason", fmt.Sprintf("%q is not a reason for a denial; see docs/formats.md", e.Reason)}
	}
	return checkArgv(e.Argv)
}

func (e *Application) check() error {
	if len(e.Body) == 0 || bytes.IndexByte(e.Body, '\n') >= 0 {
		return &FieldError{"event", "an application's event is made by ParseInput"}
	}
	return nil
}

func (e *Unknown) check() error {
	return &FieldError{"event", fmt.Sprintf("%q is not an event that can be written; applications' own begin with \"x-\"", e.EventName)}
}

func checkArgv(argv []string) error {
	for i, a := range argv {
		if !utf8.ValidString(a) {
			return &FieldError{"argv", fmt.Sprintf("element %d is not valid UTF-8", i)}
		}
	}
	return nil
}

func (e *Request) appendFields(dst []byte) []byte {
	dst = appendHex(dst, "request_id", e.RequestID[:])
	dst = appendHex(dst, "agent_id", e.AgentID[:])
	dst = appendHex(dst, "machine_id", e.MachineID[:])
	dst = appendStrings(dst, "argv", e.Argv)
	dst = append(dst, `,"matched_acl":`...)
	if e.MatchedACL == nil {
		dst = append(dst, "null"...)
	} else {
		dst = appendString(dst, *e.MatchedACL)
	}
	dst = appendUint(dst, "stdin_bytes", e.StdinBytes)
	return appendUint(dst, "timeout_ms", uint64(e.TimeoutMS))
}

func (e *Started) appendFields(dst []byte) []byte {
	dst = appendHex(dst, "request_id", e.RequestID[:])
	return appendUint(dst, "pid", uint64(e.PID))
}

func (e *Warning) appendFields(dst []byte) []byte {
	dst = appendHex(dst, "request_id", e.RequestID[:])
	dst = appendField(dst, "kind", e.Kind)
	dst = append(dst, `,"bytes":`...)
	if e.Bytes == nil {
		return append(dst, "null"...)
	}
	return strconv.AppendUint(dst, *e.Bytes, 10)
}

func (e *Exit) appendFields(dst []byte) []byte {
	dst = appendHex(dst, "request_id", e.RequestID[:])
	dst = appendOptionalInt(dst, "code", e.Code)
	dst = appendOptionalInt(dst, "signal", e.Signal)
	dst = appendUint(dst, "duration_ms", e.DurationMS)
	dst = appendUint(dst, "stdout_bytes", e.StdoutBytes)
	dst = appendUint(dst, "stderr_bytes", e.StderrBytes)
	dst = append(dst, `,"truncated":`...)
	return strconv.AppendBool(dst, e.Truncated)
}

func (e *Denial) appendFields(dst []byte) []byte {
	dst = appendHex(dst, "request_id", e.RequestID[:])
	dst = appendHex(dst, "agent_id", e.AgentID[:])
	dst = appendHex(dst, "machine_id", e.MachineID[:])
	dst = appendStrings(dst, "argv", e.Argv)
	return appendField(dst, "reason", e.Reason)
}

func (*Application) appendFields(dst []byte) []byte { return dst }

func (*Unknown) appendFields(dst []byte) []byte { return dst }

func appendKey(dst []byte, key string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

func appendUint(dst []byte, key string, v uint64) []byte {
	return strconv.AppendUint(appendKey(dst, key), v, 10)
}

func appendOptionalInt(dst []byte, key string, v *int32) []byte {
	dst = appendKey(dst, key)
	if v == nil {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, int64(*v), 10)
}

func appendHex(dst []byte, key string, id []byte) []byte {
	dst = append(appendKey(dst, key), '"')
	return append(hex.AppendEncode(dst, id), '"')
}

func appendField(dst []byte, key, v string) []byte {
	return appendString(appendKey(dst, key), v)
}

func appendStrings(dst []byte, key string, list []string) []byte {
	dst = append(appendKey(dst, key), '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

// appendString escapes as serde_json does: the two characters that JSON must,
// the control characters, and nothing else (no HTML, no U+2028).
func appendString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\r':
			dst = append(dst, `\r`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
