package rows

import (
	"encoding/binary"
	"errors"
	"fmt"

	"auditmesh/crdt"
)

// A row of a tag holds what the fold needs of its record, and no more: the line is
// in the log. Kind, time, and the fields of the kind; numbers are varints, strings
// have their length before them. Rows are derived, so the form may change with the
// schema's version.
const (
	tagRequest     = 1
	tagStarted     = 2
	tagWarning     = 3
	tagExit        = 4
	tagDenial      = 5
	tagApplication = 6
)

// encodeTag makes the value of a tag's row.
func encodeTag(op crdt.Op) []byte {
	head := func(kind byte) []byte { return binary.AppendUvarint([]byte{kind}, op.Time) }
	switch b := op.Body.(type) {
	case crdt.Request:
		dst := appendDescription(head(tagRequest), b.Agent, b.Machine, b.Argv)
		dst = appendOptional(dst, b.MatchedACL, appendText)
		dst = binary.AppendUvarint(dst, b.StdinBytes)
		return binary.AppendUvarint(dst, uint64(b.TimeoutMS))
	case crdt.Started:
		return binary.AppendUvarint(head(tagStarted), uint64(b.PID))
	case crdt.Warning:
		return appendOptional(appendText(head(tagWarning), b.Kind), b.Bytes, binary.AppendUvarint)
	case crdt.Exit:
		dst := head(tagExit)
		for _, p := range []*int32{b.Code, b.Signal} {
			dst = appendOptional(dst, p, func(dst []byte, v int32) []byte { return binary.AppendVarint(dst, int64(v)) })
		}
		for _, v := range []uint64{b.DurationMS, b.StdoutBytes, b.StderrBytes} {
			dst = binary.AppendUvarint(dst, v)
		}
		return appendBool(dst, b.Truncated)
	case crdt.Denial:
		return appendText(appendDescription(head(tagDenial), b.Agent, b.Machine, b.Argv), b.Reason)
	case crdt.Application:
		return appendText(head(tagApplication), b.Name)
	}
	panic(fmt.Sprintf("rows: %T is no tag", op.Body)) // IsTag says which are
}

func appendDescription(dst []byte, agent, machine [32]byte, argv []string) []byte {
	dst = appendBool(dst, agent == machine) // as on a node without agents
	dst = append(dst, machine[:]...)
	if agent != machine {
		dst = append(dst, agent[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(argv)))
	for _, arg := range argv {
		dst = appendText(dst, arg)
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendOptional[T any](dst []byte, v *T, put func([]byte, T) []byte) []byte {
	if v == nil {
		return append(dst, 0)
	}
	return put(append(dst, 1), *v)
}

var errTag = errors.New("the view holds a row that does not decode")

// decodeTag makes the operation of a tag's row. The result shares nothing with raw.
func decodeTag(log crdt.Log, seq uint64, request [16]byte, raw []byte) (crdt.Op, error) {
	d := tagDecoder{raw}
	kind := d.byte()
	op := crdt.Op{Dot: crdt.Dot{Log: log, Seq: seq}, Time: d.number(), Task: crdt.TaskKey{Node: log.Node, Request: request}}
	switch kind {
	case tagRequest:
		var b crdt.Request
		b.Agent, b.Machine, b.Argv = d.description()
		b.MatchedACL = optional(&d, (*tagDecoder).text)
		b.StdinBytes, b.TimeoutMS = d.number(), uint32(d.number())
		op.Body = b
	case tagStarted:
		op.Body = crdt.Started{PID: uint32(d.number())}
	case tagWarning:
		op.Body = crdt.Warning{Kind: d.text(), Bytes: optional(&d, (*tagDecoder).number)}
	case tagExit:
		op.Body = crdt.Exit{
			Code: optional(&d, (*tagDecoder).signed), Signal: optional(&d, (*tagDecoder).signed),
			DurationMS: d.number(), StdoutBytes: d.number(), StderrBytes: d.number(), Truncated: d.byte() == 1,
		}
	case tagDenial:
		var b crdt.Denial
		b.Agent, b.Machine, b.Argv = d.description()
		b.Reason = d.text()
		op.Body = b
	case tagApplication:
		op.Body = crdt.Application{Name: d.text()}
	default:
		return op, errTag
	}
	if d.raw == nil || len(d.raw) > 0 {
		return op, errTag
	}
	return op, nil
}

// tagDecoder takes values off the beginning of raw, which is nil once one was
// missing.
type tagDecoder struct{ raw []byte }

func (d *tagDecoder) take(n uint64) []byte {
	if n > uint64(len(d.raw)) {
		d.raw = nil
		return nil
	}
	out := d.raw[:n]
	d.raw = d.raw[n:]
	return out
}

func (d *tagDecoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *tagDecoder) number() uint64 {
	v, n := binary.Uvarint(d.raw)
	if n <= 0 {
		d.raw = nil
		return 0
	}
	d.raw = d.raw[n:]
	return v
}

func (d *tagDecoder) signed() int32 {
	v, n := binary.Varint(d.raw)
	if n <= 0 {
		d.raw = nil
		return 0
	}
	d.raw = d.raw[n:]
	return int32(v)
}

func (d *tagDecoder) text() string { return string(d.take(d.number())) }

func (d *tagDecoder) description() (agent, machine [32]byte, argv []string) {
	same := d.byte() == 1
	copy(machine[:], d.take(32))
	if agent = machine; !same {
		copy(agent[:], d.take(32))
	}
	n := d.number()
	if n > uint64(len(d.raw)) { // each has at least its length
		d.raw = nil
		return agent, machine, nil
	}
	argv = make([]string, n)
	for i := range argv {
		argv[i] = d.text()
	}
	return agent, machine, argv
}

func optional[T any](d *tagDecoder, get func(*tagDecoder) T) *T {
	if d.byte() == 0 {
		return nil
	}
	v := get(d)
	return &v
}
