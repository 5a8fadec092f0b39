package event

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// Strings in a line that canonical reads.

// readQuoted reads a string with its quotes. The result is a part of the line,
// unless an escape was in it.
func (c *codec) readQuoted() (s []byte, escaped bool) {
	c.literal(`"`)
	for i, b := range c.buf {
		if !notPlain[b] {
			continue
		}
		switch b {
		case '"':
			s, c.buf = c.buf[:i], c.buf[i+1:]
			return s, false
		case '\\':
			return c.readEscaped(i), true
		}
		break
	}
	c.wrong = errNotCanonical
	return nil, false
}

// notPlain says of each byte whether a string cannot go over it: quotes, backslashes
// and control characters.
var notPlain = func() (special [256]bool) {
	for b := range 0x20 {
		special[b] = true
	}
	special['"'], special['\\'] = true, true
	return special
}()

// readEscaped reads a string whose first escape is at i. It knows the escapes that
// appendString makes.
func (c *codec) readEscaped(i int) []byte {
	s, rest := bytes.Clone(c.buf[:i]), c.buf[i:]
	for len(rest) > 0 {
		switch b := rest[0]; {
		case b == '"':
			c.buf = rest[1:]
			return s
		case b == '\\':
			char, size := escape(rest)
			if size == 0 {
				c.wrong = errNotCanonical
				return nil
			}
			s, rest = append(s, char), rest[size:]
		case b < 0x20:
			c.wrong = errNotCanonical
			return nil
		default:
			s, rest = append(s, b), rest[1:]
		}
	}
	c.wrong = errNotCanonical
	return nil
}

// escape is the character that an escape at the beginning of b stands for, and how
// long the escape is: 0 if it is another than appendString makes.
func escape(b []byte) (char byte, size int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\':
		return b[1], 2
	case 'b':
		return '\b', 2
	case 't':
		return '\t', 2
	case 'n':
		return '\n', 2
	case 'f':
		return '\f', 2
	case 'r':
		return '\r', 2
	case 'u':
		const size = len(`\u0000`)
		if len(b) < size || b[2] != '0' || b[3] != '0' || b[4] > '1' || hexValues[b[4]]|hexValues[b[5]] > 15 {
			return 0, 0
		}
		return hexValues[b[4]]<<4 | hexValues[b[5]], size
	}
	return 0, 0
}

func (c *codec) readString() string {
	s, _ := c.readQuoted()
	if !utf8.Valid(s) {
		c.wrong = errNotCanonical
	}
	return string(s)
}

func (c *codec) readBase64() []byte {
	s, escaped := c.readQuoted()
	b := make([]byte, base64.StdEncoding.DecodedLen(len(s)))
	n, err := base64.StdEncoding.Strict().Decode(b, s)
	if err != nil || escaped { // the decoder passes over line breaks
		c.wrong = errNotCanonical
	}
	return b[:n]
}

// readStrings reads an array of strings. All that have no escape share one
// allocation, of the text up to the first closing bracket.
func (c *codec) readStrings() []string {
	c.literal("[")
	list := make([]string, 0, 8)
	if c.has("]") {
		return list
	}
	all := c.buf
	shared := ""
	for c.wrong == nil {
		start := len(all) - len(c.buf) + 1 // after the opening quote
		s, escaped := c.readQuoted()
		if !utf8.Valid(s) {
			c.wrong = errNotCanonical
		}
		if c.wrong != nil {
			break
		}
		if shared == "" && !escaped {
			shared = string(all[:bytes.IndexByte(all, ']')+1])
		}
		if end := start + len(s); !escaped && end <= len(shared) {
			list = append(list, shared[start:end])
		} else {
			list = append(list, string(s))
		}
		if c.has("]") {
			break
		}
		c.literal(",")
	}
	return list
}
