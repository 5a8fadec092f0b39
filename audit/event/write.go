package event

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
)

// The writing direction of codec: serde_json's compact output.

func (c *codec) writeKey(name string) {
	if c.first {
		c.first = false
	} else {
		c.buf = append(c.buf, ',')
	}
	c.buf = append(c.buf, '"')
	c.buf = append(c.buf, name...)
	c.buf = append(c.buf, '"', ':')
}

func (c *codec) writeNull(name string) {
	c.writeKey(name)
	c.buf = append(c.buf, "null"...)
}

func (c *codec) writeUint(name string, n uint64) {
	c.writeKey(name)
	c.buf = strconv.AppendUint(c.buf, n, 10)
}

func (c *codec) writeInt(name string, n int64) {
	c.writeKey(name)
	c.buf = strconv.AppendInt(c.buf, n, 10)
}

func (c *codec) writeBool(name string, b bool) {
	c.writeKey(name)
	c.buf = strconv.AppendBool(c.buf, b)
}

func (c *codec) writeHex(name string, id []byte) {
	c.writeKey(name)
	c.buf = append(hex.AppendEncode(append(c.buf, '"'), id), '"')
}

func (c *codec) writeBase64(name string, b []byte) {
	c.writeKey(name)
	c.buf = append(base64.StdEncoding.AppendEncode(append(c.buf, '"'), b), '"')
}

func (c *codec) writeText(name, s string) {
	c.writeKey(name)
	c.buf = appendString(c.buf, s)
}

func (c *codec) writeTexts(name string, list []string) {
	c.writeKey(name)
	c.buf = append(c.buf, '[')
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
