package rows

import (
	"encoding/binary"
	"fmt"
)

// The rows of the view. Logs and nodes are numbered in the order in which this
// store met them, so that keys are short; numbers are big-endian, so that keys
// sort as the numbers do.
//
//	m                                   schema version
//	l <node> / <log id>                 -> log number
//	n <node>                            -> node number
//	c <log>                             -> cursor
//	t <node> <request> 0 <log> <seq>    -> a tag: a record of that task (tag.go)
//	t <node> <request> 1 <log> <seq>    -> line of another operation on that task
//	r <log id> <log> <seq> <n>          -> the n-th ranges of that log that the removal at <log> <seq> takes away
//	x <log> <seq>                       -> line of a removal of ranges, once however many it has
//	s <log> <seq>                       -> line of a log_succeeded
//	d <node> <request> <log>            -> seq of the last removal of the task by its request id in that log
//	i <time> <log> <seq>                -> what the record is, for all records in the order of time (timerow.go)
//	p <kind> <value> <bound> <log> <seq> -> node, request, or nothing (posting.go)
//	u <node> <request>                  -> bound, log, seq of a started after which no exit is folded
const (
	schemaVersion = "10"

	kindSchema     = 'm'
	kindLog        = 'l'
	kindNode       = 'n'
	kindCursor     = 'c'
	kindTask       = 't'
	kindRange      = 'r'
	kindRemoval    = 'x'
	kindSuccession = 's'
	kindRemoved    = 'd'
	kindTime       = 'i'
	kindPosting    = 'p'
	kindOpen       = 'u'
)

// Classes of a task's rows. Tags come first: that a task exists is seen at its
// first row.
const (
	classTag   class = 0
	classOther class = 1
)

type class byte

type (
	// LogNumber is the number that a log has in one store.
	LogNumber uint32
	// NodeNumber is the number that a node has in one store.
	NodeNumber uint32
)

// Ref is where a record stands, in numbers of one store.
type Ref struct {
	Log LogNumber
	Seq uint64
}

// TaskRef is a task, in numbers of one store.
type TaskRef struct {
	Node    NodeNumber
	Request [16]byte
}

const (
	refLen     = 12
	taskRefLen = 20
	logIDLen   = 32
)

// behindAllRefs, at the end of a key, makes it sort behind all keys that have a
// Ref there.
const behindAllRefs = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"

// keyOf makes a key of a kind and its parts.
func keyOf(kind byte, parts ...any) []byte {
	return appendParts(append(make([]byte, 0, 48), kind), parts...)
}

func appendParts(k []byte, parts ...any) []byte {
	for _, p := range parts {
		switch p := p.(type) {
		case class:
			k = append(k, byte(p))
		case LogNumber:
			k = binary.BigEndian.AppendUint32(k, uint32(p))
		case NodeNumber:
			k = binary.BigEndian.AppendUint32(k, uint32(p))
		case uint64:
			k = binary.BigEndian.AppendUint64(k, p)
		case string:
			k = append(k, p...)
		case Ref:
			k = binary.BigEndian.AppendUint32(k, uint32(p.Log))
			k = binary.BigEndian.AppendUint64(k, p.Seq)
		case TaskRef:
			k = binary.BigEndian.AppendUint32(k, uint32(p.Node))
			k = append(k, p.Request[:]...)
		default:
			panic(fmt.Sprintf("rows: no key part of type %T", p))
		}
	}
	return k
}

func parseRef(k []byte) Ref {
	return Ref{LogNumber(binary.BigEndian.Uint32(k)), binary.BigEndian.Uint64(k[4:])}
}

func parseTaskRef(k []byte) TaskRef {
	return TaskRef{NodeNumber(binary.BigEndian.Uint32(k)), [16]byte(k[4:20])}
}

// parseTaskRow reads the key of a task's row.
func parseTaskRow(k []byte) (t TaskRef, c class, at Ref) {
	return parseTaskRef(k[1:]), class(k[1+taskRefLen]), parseRef(k[2+taskRefLen:])
}

func bytesOf(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func uint32Of(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
