package event

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// member is a field as codec lists it: what it is called, what JSON it is, and
// where its value goes.
type member struct {
	name string
	// json is its type as docs/formats.md calls it, but for the "or null" that
	// optional fields have, which may also be absent.
	json     string
	optional bool
	// words are those of its vocabulary, if it has one.
	words []string
	// to is a pointer that the JSON package can read into, or a reader.
	to any
	// found is set once the line had it.
	found bool
}

// reader is what reads a field that the JSON package could not read well enough:
// it takes null for a zero, and never misses an object's fields.
type reader interface {
	read(dec *jsontext.Decoder) error
}

func (c *codec) list(name, json string, to any) {
	*c.members = append(*c.members, member{name: name, json: json, to: to})
}

func (c *codec) listOptional(name, json string, to any) {
	*c.members = append(*c.members, member{name: name, json: json, optional: true, to: to})
}

// membersOf lists the fields of an event, or of an object in one.
func membersOf(e interface{ fields(c codec) codec }) []member {
	list := make([]member, 0, 12)
	e.fields(codec{mode: listing, members: &list})
	return list
}

// readFields reads an event's fields from a line that is known to be one JSON
// object without duplicate names. If strict, it refuses fields that the event does
// not have.
func readFields(line []byte, e Event, strict bool) error {
	members := membersOf(e)
	members = append(members, // these two were read already
		member{name: "event", optional: true, to: skipped{}},
		member{name: "ts_unix_ms", optional: true, to: skipped{}})
	if find(members, "request_id") == nil { // it must be one where no event needs it, too
		members = append(members, member{name: "request_id", optional: true, to: new(RequestID)})
	}
	if err := json.Unmarshal(line, &object{members, strict}); err != nil {
		return fieldError(err)
	}
	return nil
}

// object reads a JSON object into its members.
type object struct {
	members []member
	strict  bool
}

// UnmarshalJSONFrom is called by the JSON package.
func (o *object) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != jsontext.KindBeginObject {
		if err := dec.SkipValue(); err != nil {
			return fieldError(err)
		}
		return &FieldError{place(dec.StackPointer()), "is not a JSON object"}
	}
	if _, err := dec.ReadToken(); err != nil {
		return fieldError(err)
	}
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			return fieldError(err)
		}
		m := find(o.members, name.String())
		switch {
		case m == nil && o.strict:
			return &FieldError{place(dec.StackPointer()), "is not a field of this event"}
		case m == nil || dec.PeekKind() == jsontext.KindNull:
			err = dec.SkipValue()
		default:
			m.found = true
			err = m.read(dec)
		}
		if err != nil {
			return fieldError(err)
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return fieldError(err)
	}
	for _, m := range o.members {
		if !m.found && !m.optional {
			return missing(dec.StackPointer().AppendToken(m.name))
		}
	}
	return nil
}

func find(members []member, name string) *member {
	for i := range members {
		if members[i].name == name {
			return &members[i]
		}
	}
	return nil
}

func (m *member) read(dec *jsontext.Decoder) error {
	if r, ok := m.to.(reader); ok {
		return r.read(dec)
	}
	return json.UnmarshalDecode(dec, m.to)
}

// skipped is a field that is not wanted.
type skipped struct{}

func (skipped) read(dec *jsontext.Decoder) error { return dec.SkipValue() }

// texts are the strings of an array, none of which may be null.
type texts []string

func (t *texts) read(dec *jsontext.Decoder) error {
	at := dec.StackPointer()
	var list []*string
	if err := json.UnmarshalDecode(dec, &list); err != nil {
		return err
	}
	*t = make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return missing(at.AppendToken(strconv.Itoa(i)))
		}
		(*t)[i] = *s
	}
	return nil
}

// objectList are the objects of an array. No field of one may be missing.
type objectList[T any, P record[T]] struct{ to *[]T }

func (l *objectList[T, P]) read(dec *jsontext.Decoder) error {
	if dec.PeekKind() != jsontext.KindBeginArray {
		return json.UnmarshalDecode(dec, new([]jsontext.Value)) // says that it is no array
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	*l.to = []T{}
	for dec.PeekKind() != jsontext.KindEndArray {
		*l.to = append(*l.to, *new(T))
		last := &(*l.to)[len(*l.to)-1]
		o := object{members: membersOf(P(last))}
		if err := o.UnmarshalJSONFrom(dec); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// objectType is the type of an object with these fields, as docs/formats.md has it.
func objectType(members []member) string {
	var list []string
	for _, m := range members {
		list = append(list, "`"+m.name+"` "+m.json)
	}
	return "{" + strings.Join(list, ", ") + "}"
}
