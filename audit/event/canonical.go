package event

import (
	"bytes"
	"math"
)

// canonical reads a line in the very form in which the writer of this format makes
// it: nearly all lines are in it. It returns nil for any other, which is
// careful's to judge; where it returns an event, careful returns the same
// (FuzzCanonical).
func canonical(line []byte) Event {
	c := codec{mode: reading, buf: line}
	c.literal(eventStart)
	end := bytes.IndexByte(c.buf, '"')
	if end < 0 {
		return nil
	}
	k := kindOf(c.buf[:end])
	if k == nil {
		return nil
	}
	c.buf = c.buf[end:]
	c.literal(timeStart)
	e := k.make(c.readUint(math.MaxUint64))
	c = e.fields(c)
	c.literal("}")
	if c.wrong != nil || len(c.buf) > 0 || k.byNode && check(e) != nil {
		return nil
	}
	return e
}

// errNotCanonical ends the reading of a line that is in another form. Nobody sees it.
var errNotCanonical = &FieldError{"", "is not as this program writes it"}

func (c *codec) has(s string) bool {
	if len(c.buf) < len(s) || string(c.buf[:len(s)]) != s {
		return false
	}
	c.buf = c.buf[len(s):]
	return true
}

func (c *codec) literal(s string) {
	if !c.has(s) {
		c.wrong = errNotCanonical
	}
}

// readKey reads a field's name, with what stands around it.
func (c *codec) readKey(name string) {
	b := c.buf
	switch {
	case c.first:
		c.first = false
	case len(b) > 0 && b[0] == ',':
		b = b[1:]
	default:
		c.wrong = errNotCanonical
	}
	n := len(name) + len(`"":`)
	if len(b) < n || b[0] != '"' || b[n-2] != '"' || b[n-1] != ':' || string(b[1:n-2]) != name {
		c.wrong = errNotCanonical
		return
	}
	c.buf = b[n:]
}

func (c *codec) readNull() bool { return c.has("null") }

func (c *codec) readBool() bool {
	if c.has("true") {
		return true
	}
	c.literal("false")
	return false
}

// readUint reads a number as strconv writes it: no sign, no leading zero.
func (c *codec) readUint(limit uint64) (n uint64) {
	i := 0
	for ; i < len(c.buf) && c.buf[i]-'0' <= 9; i++ {
		d := uint64(c.buf[i] - '0')
		if n > math.MaxUint64/10 || 10*n+d < d {
			c.wrong = errNotCanonical
			return 0
		}
		n = 10*n + d
	}
	if n > limit || i == 0 || i > 1 && c.buf[0] == '0' {
		c.wrong = errNotCanonical
		return 0
	}
	c.buf = c.buf[i:]
	return n
}

func (c *codec) readInt32() int32 {
	negative := c.has("-")
	n := int64(c.readUint(math.MaxInt32 + 1))
	if negative {
		n = -n
	}
	if n > math.MaxInt32 || negative && n == 0 {
		c.wrong = errNotCanonical
	}
	return int32(n)
}

// readHex reads an identifier of dst's length in lower case, in quotes.
func (c *codec) readHex(dst []byte) {
	n := 2 * len(dst)
	if len(c.buf) < n+2 || c.buf[0] != '"' || c.buf[n+1] != '"' {
		c.wrong = errNotCanonical
		return
	}
	digits := c.buf[1 : n+1]
	var all byte
	for i := range dst {
		pair := digits[2*i : 2*i+2]
		high, low := hexValues[pair[0]], hexValues[pair[1]]
		all |= high | low
		dst[i] = high<<4 | low
	}
	if all > 15 {
		c.wrong = errNotCanonical
		return
	}
	c.buf = c.buf[n+2:]
}

// hexValues says what a lower-case hex digit is worth, and 255 of all else.
var hexValues = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for i, digit := range "0123456789abcdef" {
		values[digit] = byte(i)
	}
	return values
}()

// readObjects reads an array of objects. What is wrong in one ends it.
func readObjects[T any, P record[T]](c *codec) []T {
	c.literal("[")
	list := []T{}
	if c.has("]") {
		return list
	}
	for c.wrong == nil {
		c.literal("{")
		c.first = true
		list = append(list, *new(T))
		*c = P(&list[len(list)-1]).fields(*c)
		c.literal("}")
		if c.has("]") {
			break
		}
		c.literal(",")
	}
	return list
}
