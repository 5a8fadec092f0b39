package rows

import (
	"encoding/binary"
)

// FirstRecord is an earlier record of a task in the same log, the first that the
// fold remembered, with the greatest time of the log up to there. It is a hint that
// rows of later records carry: while that record is held and not removed, the
// task's place is not at any later record of the log, and its time is not after
// Bound. The zero FirstRecord says nothing.
type FirstRecord struct {
	Known bool
	Seq   uint64
	Bound uint64 // milliseconds since 1970
}

// append writes the hint behind a row's value. It takes few bytes where it is near
// the row's record and time.
func (f FirstRecord) append(v []byte, at Ref, time uint64) []byte {
	if !f.Known {
		return v
	}
	v = binary.AppendUvarint(v, at.Seq-f.Seq)
	return binary.AppendVarint(v, int64(time-f.Bound)) // modulo 2^64: a clock may say anything
}

// parseFirstRecord reads the hint, if there is one.
func parseFirstRecord(v []byte, at Ref, time uint64) FirstRecord {
	if len(v) == 0 {
		return FirstRecord{}
	}
	back, n := binary.Uvarint(v)
	ahead, _ := binary.Varint(v[n:])
	return FirstRecord{true, at.Seq - back, time - uint64(ahead)}
}
