package event

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
)

// The writing direction of codec: serde_json's compact output.

// key is the line so far with a field's name, and what stands around it.
func (c *codec) key(name string) []byte {
	b := c.buf
	if c.first {
		c.first = false
		b = append(b, '"')
	} else {
		b = append(b, ',', '"')
	}
	return append(append(b, name...), '"', ':')
}

func (c *codec) writeNull(name string) {
	c.buf = append(c.key(name), "null"...)
}

func (c *codec) writeUint(name string, n uint64) {
	c.buf = strconv.AppendUint(c.key(name), n, 10)
}

func (c *codec) writeInt(name string, n int64) {
	c.buf = strconv.AppendInt(c.key(name), n, 10)
}

func (c *codec) writeBool(name string, b bool) {
	c.buf = strconv.AppendBool(c.key(name), b)
}

func (c *codec) writeHex(name string, id []byte) {
	c.buf = append(hex.AppendEncode(append(c.key(name), '"'), id), '"')
}

func (c *codec) writeBase64(name string, b []byte) {
	c.buf = append(base64.StdEncoding.AppendEncode(append(c.key(name), '"'), b), '"')
}

func (c *codec) writeText(name, s string) {
	c.buf = appendString(c.key(name), s)
}

func (c *codec) writeTexts(name string, list []string) {
	c.buf = append(c.key(name), '[')
	for i, s := range list {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.buf = appendString(c.buf, s)
	}
	c.buf = append(c.buf, ']')
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
