package mirror

import (
	"encoding/binary"
	"errors"

	badger "github.com/dgraph-io/badger"

	"auditmesh/crdt"
)

// begin is an earlier record of a task in the same log, the first that was
// remembered, with the greatest time of the log up to there. While that record
// stands, the task's place is not at any later one of the log, and its time is not
// after the bound. The zero begin says nothing: its bound and seq are not asked for.
type begin struct {
	known bool
	seq   uint64
	bound uint64
}

// beginnings remember where the tasks that were met last begin, so that the fold can
// say it at later records without reading. What they forgot costs a reader a look at
// the task, no more. The fold alone uses them, so there is no lock.
type beginnings struct {
	of   map[taskRef]taskBegin
	ring []taskRef // in the order in which they were met
	next int       // in the ring: the oldest
}

type taskBegin struct {
	log logNumber
	begin
}

// maxBegins bounds the memory: about 17 MB.
const maxBegins = 50_000

func newBeginnings() *beginnings { return &beginnings{of: make(map[taskRef]taskBegin)} }

// meet is where the task of a record begins; the record itself may be that.
func (b *beginnings) meet(task taskRef, at ref, bound uint64) begin {
	known, ok := b.of[task]
	if ok && known.log == at.log && known.seq < at.seq {
		return known.begin
	}
	if !ok {
		if len(b.ring) < maxBegins {
			b.ring = append(b.ring, task)
		} else {
			delete(b.of, b.ring[b.next])
			b.ring[b.next] = task
			b.next = (b.next + 1) % maxBegins
		}
	}
	b.of[task] = taskBegin{at.log, begin{true, at.seq, bound}}
	return begin{}
}

// encodeTimeTag makes the value of a tag in the order of time.
func encodeTimeTag(task taskRef, at ref, time uint64, b begin) []byte {
	return b.append(append([]byte{recordTag}, task.request[:]...), at, time)
}

// append writes a begin behind a row's value. It takes few bytes where it is near
// the row's record and time.
func (b begin) append(v []byte, at ref, time uint64) []byte {
	if !b.known {
		return v
	}
	v = binary.AppendUvarint(v, at.seq-b.seq)
	return binary.AppendVarint(v, int64(time-b.bound)) // modulo 2^64: a clock may say anything
}

// parseBegin reads it, if there is one.
func parseBegin(v []byte, at ref, time uint64) begin {
	if len(v) == 0 {
		return begin{}
	}
	back, n := binary.Uvarint(v)
	ahead, _ := binary.Varint(v[n:])
	return begin{true, at.seq - back, time - uint64(ahead)}
}

// timeTag reads it, false if the record is no tag.
func (s *store) timeTag(at ref, time uint64, value []byte) (t taskRef, b begin, ok bool) {
	if value[0] != recordTag {
		return t, b, false
	}
	return taskRef{s.nodeOfLog(at.log), [16]byte(value[1:])}, parseBegin(value[17:], at, time), true
}

// stands says whether the record at a task's begin is held, and not removed.
func (e *env) stands(task taskRef, log logNumber, b begin) bool {
	if !b.known {
		return false
	}
	first, ok := e.first[log]
	if !ok {
		if err := e.cursorFirst(log, &first); err != nil {
			e.failed(err)
			return false
		}
		e.first[log] = first
	}
	if b.seq < first || e.isInRange(crdt.Dot{Log: e.s.logByNumber(log), Seq: b.seq}) {
		return false
	}
	_, err := e.txn.Get(keyOf(rowRemoved, task, log))
	if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
		e.failed(err)
	}
	return errors.Is(err, badger.ErrKeyNotFound)
}

// cursorFirst is the first record of a log that is folded.
func (e *env) cursorFirst(log logNumber, first *uint64) error {
	item, err := e.txn.Get(keyOf(rowCursor, log))
	if err != nil {
		return err
	}
	return item.Value(func(v []byte) error {
		c, err := parseCursor(v)
		*first = c.First
		return err
	})
}
