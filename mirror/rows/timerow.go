package rows

import (
	"encoding/binary"

	badger "github.com/dgraph-io/badger"
)

// Every record has a row in the order of time. Its value says what it is.
const (
	recordPlain = 0
	recordTag   = 1 // followed by the request, and maybe a FirstRecord; the node is the log's
)

// PutTime puts a record that is no tag into the order of time, at a time in
// milliseconds since 1970, or takes it out.
func (s *Step) PutTime(time uint64, at Ref) error {
	return s.set(keyOf(kindTime, time, at), []byte{recordPlain})
}

// PutTagTime is PutTime for a tag of a task.
func (s *Step) PutTagTime(time uint64, at Ref, task TaskRef, first FirstRecord) error {
	value := append([]byte{recordTag}, task.Request[:]...)
	return s.set(keyOf(kindTime, time, at), first.append(value, at, time))
}

// parseTagTime reads the value of a row in the order of time, false if the record
// is no tag.
func (t *Tx) parseTagTime(at Ref, time uint64, value []byte) (task TaskRef, first FirstRecord, ok bool) {
	if value[0] != recordTag {
		return task, first, false
	}
	return TaskRef{t.store.nodeOfLog(at.Log), [16]byte(value[1:])}, parseFirstRecord(value[17:], at, time), true
}

// TimeIterator goes through the records in the order of (time, log number, seq), or
// the reverse. It is closed before its transaction ends.
type TimeIterator struct {
	tx      *Tx
	it      *badger.Iterator
	reverse bool
}

// TimeIterator makes an iterator, which stands nowhere before it seeks.
func (t *Tx) TimeIterator(reverse bool) *TimeIterator {
	return &TimeIterator{t, t.txn.NewIterator(badger.IteratorOptions{Reverse: reverse}), reverse}
}

// SeekTime goes to the first record at or after a time; in reverse, to the last
// record before it.
func (i *TimeIterator) SeekTime(time uint64) { i.it.Seek(keyOf(kindTime, time)) }

// SeekLast goes to the last record of all, in reverse.
func (i *TimeIterator) SeekLast() { i.it.Seek([]byte{kindTime + 1}) }

// SeekInto goes to the first record of a time that the iterator meets, in its direction.
func (i *TimeIterator) SeekInto(time uint64) {
	if i.reverse {
		i.it.Seek(keyOf(kindTime, time, behindAllRefs))
	} else {
		i.it.Seek(keyOf(kindTime, time))
	}
}

// SeekBehind goes behind all records of a time, in the iterator's direction.
func (i *TimeIterator) SeekBehind(time uint64) {
	if i.reverse {
		i.it.Seek(keyOf(kindTime, time))
	} else {
		i.it.Seek(keyOf(kindTime, time, behindAllRefs))
	}
}

// SeekRecord goes to a record of a time, or to the next one in the iterator's direction.
func (i *TimeIterator) SeekRecord(time uint64, at Ref) { i.it.Seek(keyOf(kindTime, time, at)) }

// SeekBehindLog goes behind all records that a log has of a time, in the iterator's
// direction.
func (i *TimeIterator) SeekBehindLog(time uint64, log LogNumber) {
	if !i.reverse {
		log++
	}
	i.it.Seek(keyOf(kindTime, time, log))
}

// Next goes on by one record.
func (i *TimeIterator) Next() { i.it.Next() }

// At is the record that the iterator stands at, false behind the last.
func (i *TimeIterator) At() (time uint64, at Ref, ok bool) {
	for ; i.it.Valid(); i.it.Next() {
		key := i.it.Item().Key()
		if key[0] == kindTime {
			return binary.BigEndian.Uint64(key[1:]), parseRef(key[9:]), true
		}
		if !i.reverse || key[0] < kindTime {
			break
		}
	}
	return 0, Ref{}, false
}

// Tag is the task that the record at the iterator is a tag of, with the hint that
// its row has; false if it is no tag.
func (i *TimeIterator) Tag() (task TaskRef, first FirstRecord, isTag bool, err error) {
	time, at, _ := i.At()
	err = i.it.Item().Value(func(v []byte) error {
		task, first, isTag = i.tx.parseTagTime(at, time, v)
		return nil
	})
	return task, first, isTag, err
}

// Close frees the iterator.
func (i *TimeIterator) Close() { i.it.Close() }
