package mirror

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"auditmesh/audit/event"
	"auditmesh/crdt"
)

// The rows of the view. Logs and nodes are numbered in the order in which this
// store met them, so that keys are short; numbers are big-endian, so that keys
// sort as the numbers do.
//
//	m                                   schema version
//	l <node> / <log id>                 -> log number
//	n <node>                            -> node number
//	c <log>                             -> cursor
//	t <node> <request> 0 <log> <seq>    -> a tag: a record of that task (tagcodec.go)
//	t <node> <request> 1 <log> <seq>    -> line of another operation on that task
//	r <log id> <log> <seq> <n>          -> the n-th ranges of that log that the removal at <log> <seq> takes away
//	x <log> <seq>                       -> line of a removal of ranges, once however many it has
//	s <log> <seq>                       -> line of a log_succeeded
//	d <node> <request> <log>            -> seq of the last removal of the task by its request id in that log
//	i <time> <log> <seq>                -> what the record is, for all records in the order of time
//	p <kind> <value> <bound> <log> <seq> -> node, request, or nothing: see posting.go
//	u <node> <request>                  -> bound, log, seq of a started after which no exit is folded
const (
	schemaVersion = "10"

	rowSchema     = 'm'
	rowLog        = 'l'
	rowNode       = 'n'
	rowCursor     = 'c'
	rowTask       = 't'
	rowRange      = 'r'
	rowRemoval    = 'x'
	rowSuccession = 's'
	rowTime       = 'i'
	rowPosting    = 'p'
	rowOpen       = 'u'
	rowRemoved    = 'd'
)

// Classes of a task's rows. Tags come first: that a task exists is seen at its
// first row.
const (
	classTag   class = 0
	classOther class = 1
)

// Kinds of records in the values of rowTime.
const (
	recordPlain = 0
	recordTag   = 1 // followed by the request, and maybe where the task begins (begins.go); the node is the log's
)

type (
	class      byte
	logNumber  uint32
	nodeNumber uint32
)

// ref is where a record stands, in numbers of this store.
type ref struct {
	log logNumber
	seq uint64
}

// taskRef is a task, in numbers of this store.
type taskRef struct {
	node    nodeNumber
	request [16]byte
}

func keyOf(kind byte, parts ...any) []byte {
	k := append(make([]byte, 0, 48), kind)
	for _, p := range parts {
		switch p := p.(type) {
		case class:
			k = append(k, byte(p))
		case logNumber:
			k = binary.BigEndian.AppendUint32(k, uint32(p))
		case nodeNumber:
			k = binary.BigEndian.AppendUint32(k, uint32(p))
		case uint64:
			k = binary.BigEndian.AppendUint64(k, p)
		case string:
			k = append(k, p...)
		case ref:
			k = binary.BigEndian.AppendUint32(k, uint32(p.log))
			k = binary.BigEndian.AppendUint64(k, p.seq)
		case taskRef:
			k = binary.BigEndian.AppendUint32(k, uint32(p.node))
			k = append(k, p.request[:]...)
		default:
			panic(fmt.Sprintf("mirror: no key part of type %T", p))
		}
	}
	return k
}

func parseRef(k []byte) ref {
	return ref{logNumber(binary.BigEndian.Uint32(k)), binary.BigEndian.Uint64(k[4:])}
}

func parseTaskRef(k []byte) taskRef {
	return taskRef{nodeNumber(binary.BigEndian.Uint32(k)), [16]byte(k[4:20])}
}

const (
	refLen     = 12
	taskRefLen = 20
)

// parseTaskRow reads the key of a task's row.
func parseTaskRow(k []byte) (t taskRef, c class, at ref) {
	return parseTaskRef(k[1:]), class(k[1+taskRefLen]), parseRef(k[2+taskRefLen:])
}

// cursor says which records of a log are folded, [First, Size), and what was
// found in them. An unreadable record stands in the order of time where the one
// before it does: at FirstTime before the first that is readable.
type cursor struct {
	First      uint64 `json:"first,omitzero"`
	Size       uint64 `json:"size"`
	Unreadable uint64 `json:"unreadable"`
	Unknown    uint64 `json:"unknown"`
	FirstTime  uint64 `json:"first_time,omitzero"`
	LastTime   uint64 `json:"last_time"`
	// The time of the first readable record, and the greatest so far; FirstMost is
	// that before First.
	Begin     uint64 `json:"begin"`
	Most      uint64 `json:"most"`
	FirstMost uint64 `json:"first_most,omitzero"`
}

// advance takes in the next record, or with undo lets go of the first: its event
// is nil if it is unreadable. It returns the time at which the record stands, and
// the greatest up to there.
func (c *cursor) advance(seq uint64, e event.Event, undo bool) (time, most uint64) {
	at, bound, step := &c.LastTime, &c.Most, uint64(1)
	if undo {
		at, bound, step = &c.FirstTime, &c.FirstMost, ^uint64(0)
		c.First = seq + 1
	} else {
		c.Size = seq + 1
	}
	switch e.(type) {
	case nil:
		c.Unreadable += step
		return *at, *bound
	case *event.Unknown:
		c.Unknown += step
	}
	if c.Most == 0 {
		c.Begin = e.Time()
	}
	*at, *bound = e.Time(), max(*bound, e.Time())
	return *at, *bound
}

func (c cursor) encode() []byte {
	raw, err := json.Marshal(c)
	if err != nil {
		panic(err) // integers
	}
	return raw
}

func parseCursor(raw []byte) (c cursor, err error) {
	err = json.Unmarshal(raw, &c)
	return c, err
}

// apply adds what a row of a task says to it.
func (s *store) apply(task *crdt.Task, key, value []byte) error {
	t, class, at := parseTaskRow(key)
	var op crdt.Op
	var err error
	if log := s.logByNumber(at.log); class == classTag {
		op, err = decodeTag(log, at.seq, t.request, value)
	} else {
		op, err = decodeOp(log, at.seq, value)
	}
	if err != nil {
		return err
	}
	task.Apply(op)
	return nil
}

// decodeOp makes the operation of a row's line again.
func decodeOp(log crdt.Log, seq uint64, line []byte) (crdt.Op, error) {
	e, err := event.Decode(line)
	if err != nil {
		return crdt.Op{}, fmt.Errorf("the view holds a line that does not decode: %w", err)
	}
	op, ok := operation(log, seq, e)
	if !ok {
		return crdt.Op{}, fmt.Errorf("the view holds a line of event %q, which is no operation", e.Name())
	}
	return op, nil
}

func bytesOf(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func uint32Of(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
