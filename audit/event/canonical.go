package event

import (
	"bytes"
	"encoding/hex"
	"math"
	"unicode/utf8"
)

// canonical reads a line of the five events in the very form in which the writer
// of this format makes it, without escapes in its strings: nearly all lines are.
// It returns nil for any other, which is decode's to judge; where it returns an
// event, decode returns the same (FuzzCanonical).
func canonical(line []byte) Event {
	c := cursor{rest: line}
	c.literal(`{"event":"`)
	end := bytes.IndexByte(c.rest, '"')
	if end < 0 {
		return nil
	}
	name := c.rest[:end]
	c.rest = c.rest[end:]
	c.literal(`","ts_unix_ms":`)
	ts := c.uint(math.MaxUint64)
	var id RequestID
	c.hex(`,"request_id":"`, id[:])
	e := c.event(name, ts, id)
	c.literal("}")
	if c.bad || len(c.rest) > 0 {
		return nil
	}
	return e
}

func (c *cursor) event(name []byte, ts uint64, id RequestID) Event {
	switch string(name) {
	case "request":
		e := &Request{TSUnixMS: ts, RequestID: id}
		c.hex(`,"agent_id":"`, e.AgentID[:])
		c.hex(`,"machine_id":"`, e.MachineID[:])
		e.Argv = c.strings(`,"argv":[`)
		c.literal(`,"matched_acl":`)
		if !c.null() {
			acl := c.string()
			e.MatchedACL = &acl
		}
		e.StdinBytes = c.field(`,"stdin_bytes":`, math.MaxUint64)
		e.TimeoutMS = uint32(c.field(`,"timeout_ms":`, math.MaxUint32))
		return e
	case "started":
		return &Started{ts, id, uint32(c.field(`,"pid":`, math.MaxUint32))}
	case "warning":
		e := &Warning{TSUnixMS: ts, RequestID: id}
		c.literal(`,"kind":`)
		e.Kind = c.string()
		c.literal(`,"bytes":`)
		if !c.null() {
			n := c.uint(math.MaxUint64)
			e.Bytes = &n
		}
		return e
	case "exit":
		e := &Exit{TSUnixMS: ts, RequestID: id}
		e.Code = c.optionalInt(`,"code":`)
		e.Signal = c.optionalInt(`,"signal":`)
		e.DurationMS = c.field(`,"duration_ms":`, math.MaxUint64)
		e.StdoutBytes = c.field(`,"stdout_bytes":`, math.MaxUint64)
		e.StderrBytes = c.field(`,"stderr_bytes":`, math.MaxUint64)
		c.literal(`,"truncated":`)
		if e.Truncated = c.has("true"); !e.Truncated {
			c.literal("false")
		}
		return e
	case "denial":
		e := &Denial{TSUnixMS: ts, RequestID: id}
		c.hex(`,"agent_id":"`, e.AgentID[:])
		c.hex(`,"machine_id":"`, e.MachineID[:])
		e.Argv = c.strings(`,"argv":[`)
		c.literal(`,"reason":`)
		e.Reason = c.string()
		return e
	}
	c.bad = true
	return nil
}

// cursor reads a line from left to right. Once something was not as it must be,
// bad is set and nothing counts any more.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) has(s string) bool {
	if len(c.rest) < len(s) || string(c.rest[:len(s)]) != s {
		return false
	}
	c.rest = c.rest[len(s):]
	return true
}

func (c *cursor) literal(s string) {
	if !c.has(s) {
		c.bad = true
	}
}

func (c *cursor) null() bool { return c.has("null") }

func (c *cursor) field(key string, limit uint64) uint64 {
	c.literal(key)
	return c.uint(limit)
}

// uint reads a number as strconv writes it: no sign, no leading zero.
func (c *cursor) uint(limit uint64) (n uint64) {
	i := 0
	for ; i < len(c.rest) && c.rest[i]-'0' <= 9; i++ {
		d := uint64(c.rest[i] - '0')
		if n > (limit-d)/10 {
			c.bad = true
			return 0
		}
		n = 10*n + d
	}
	if i == 0 || i > 1 && c.rest[0] == '0' {
		c.bad = true
		return 0
	}
	c.rest = c.rest[i:]
	return n
}

func (c *cursor) optionalInt(key string) *int32 {
	c.literal(key)
	if c.null() {
		return nil
	}
	negative := c.has("-")
	n := int64(c.uint(math.MaxInt32 + 1))
	if negative {
		n = -n
	}
	if n > math.MaxInt32 || negative && n == 0 {
		c.bad = true
	}
	v := int32(n)
	return &v
}

// hex reads an identifier of dst's length in lower case, and its closing quote.
func (c *cursor) hex(key string, dst []byte) {
	c.literal(key)
	n := hex.EncodedLen(len(dst))
	if c.bad || len(c.rest) < n {
		c.bad = true
		return
	}
	for _, b := range c.rest[:n] {
		if b >= 'A' && b <= 'F' {
			c.bad = true
			return
		}
	}
	if _, err := hex.Decode(dst, c.rest[:n]); err != nil {
		c.bad = true
		return
	}
	c.rest = c.rest[n:]
	c.literal(`"`)
}

// span finds the end of a string without escapes, whose opening quote was read.
func (c *cursor) span() []byte {
	for i, b := range c.rest {
		switch {
		case b == '"':
			s := c.rest[:i]
			c.rest = c.rest[i+1:]
			return s
		case b == '\\' || b < 0x20:
			c.bad = true
			return nil
		}
	}
	c.bad = true
	return nil
}

func (c *cursor) string() string {
	c.literal(`"`)
	s := c.span()
	if !utf8.Valid(s) {
		c.bad = true
	}
	return string(s)
}

func (c *cursor) strings(key string) []string {
	c.literal(key)
	list := make([]string, 0, 8)
	if c.has("]") {
		return list
	}
	all := c.rest
	whole := "" // the elements share one allocation
	for !c.bad {
		c.literal(`"`)
		at := len(all) - len(c.rest)
		s := c.span()
		if !utf8.Valid(s) {
			c.bad = true
		}
		if c.bad {
			break
		}
		if whole == "" {
			whole = string(all[:bytes.IndexByte(all, ']')+1])
		}
		if at+len(s) <= len(whole) {
			list = append(list, whole[at:at+len(s)])
		} else {
			list = append(list, string(s)) // an element had a bracket
		}
		if c.has("]") {
			break
		}
		c.literal(",")
	}
	return list
}
