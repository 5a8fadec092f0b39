package event

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// codec takes the fields of an event one after the other, in one of four
// directions. Each method stands for one JSON type and knows all four.
//
// It goes into fields and comes back by value, since a pointer that is given to a
// method of an interface would be allocated for each line.
type codec struct {
	mode mode
	// first is set at the beginning of an object, where no comma is.
	first bool
	// buf is, when writing, the line so far; when reading, the rest of the line.
	buf []byte
	// wrong is the first thing that was wrong. After it, nothing counts.
	wrong *FieldError
	// members is where to list them; a pointer, since a codec is copied often.
	members *[]member
}

type mode uint8

const (
	// reading a line that is in the writer's own form; see canonical.go.
	reading mode = iota
	// writing a line, and checking; see write.go.
	writing
	// checking alone that the fields have values that may be written.
	checking
	// listing the fields, for careful.go and the tests.
	listing
)

// vocabulary are the words that a field may hold.
type vocabulary struct {
	what  string // what a word must be, for errors
	words []string
}

func (c *codec) checks() bool { return c.mode == writing || c.mode == checking }

func (c *codec) fail(field, reason string) {
	if c.wrong == nil {
		c.wrong = &FieldError{field, reason}
	}
}

// text is a string.
func (c *codec) text(name string, v *string) {
	switch c.mode {
	case reading:
		c.readKey(name)
		*v = c.readString()
	case writing:
		c.checkText(name, *v)
		c.writeText(name, *v)
	case checking:
		c.checkText(name, *v)
	case listing:
		c.list(name, "string", v)
	}
}

func (c *codec) checkText(name, s string) {
	if !utf8.ValidString(s) {
		c.fail(name, "is not valid UTF-8")
	}
}

// word is a string that a writer takes from a vocabulary. A log may hold others,
// since a later version may know more.
func (c *codec) word(name string, v *string, from *vocabulary) {
	if c.checks() && !slices.Contains(from.words, *v) {
		c.fail(name, fmt.Sprintf("%q is not %s", *v, from.what))
	}
	if c.mode != checking {
		c.text(name, v)
	}
	if c.mode == listing {
		(*c.members)[len(*c.members)-1].words = from.words
	}
}

// optionalText is a string or null.
func (c *codec) optionalText(name string, v **string) {
	switch c.mode {
	case reading:
		if c.readKey(name); !c.readNull() {
			s := c.readString()
			*v = &s
		}
	case writing:
		if *v == nil {
			c.writeNull(name)
		} else {
			c.text(name, *v)
		}
	case checking:
		if *v != nil {
			c.text(name, *v)
		}
	case listing:
		c.listOptional(name, "string", v)
	}
}

// texts is an array of strings.
func (c *codec) texts(name string, v *[]string) {
	switch c.mode {
	case reading:
		c.readKey(name)
		*v = c.readStrings()
	case writing:
		c.checkTexts(name, *v)
		c.writeTexts(name, *v)
	case checking:
		c.checkTexts(name, *v)
	case listing:
		c.list(name, "[string]", (*texts)(v))
	}
}

func (c *codec) checkTexts(name string, list []string) {
	for i, s := range list {
		if !utf8.ValidString(s) {
			c.fail(name, fmt.Sprintf("element %d is not valid UTF-8", i))
		}
	}
}

// bytes are base64 in the line.
func (c *codec) bytes(name string, v *[]byte) {
	switch c.mode {
	case reading:
		c.readKey(name)
		*v = c.readBase64()
	case writing:
		c.writeBase64(name, *v)
	case listing:
		c.list(name, "base64", v)
	}
}

// record is the pointer to a struct T that stands as an object in a line.
type record[T any] interface {
	*T
	fields(c codec) codec
}

// objects is an array of objects. It is no method, since those have no type
// parameters.
func objects[T any, P record[T]](c *codec, name string, v *[]T) {
	switch c.mode {
	case reading:
		c.readKey(name)
		*v = readObjects[T, P](c)
	case writing:
		c.buf = append(c.key(name), '[')
		for i := range *v {
			if i > 0 {
				c.buf = append(c.buf, ',')
			}
			c.buf, c.first = append(c.buf, '{'), true
			*c = P(&(*v)[i]).fields(*c)
			c.buf = append(c.buf, '}')
		}
		c.buf = append(c.buf, ']')
	case checking:
		for i := range *v {
			*c = P(&(*v)[i]).fields(*c)
		}
	case listing:
		c.list(name, "["+objectType(membersOf(P(new(T))))+"]", &objectList[T, P]{v})
	}
}
