package mirror

import (
	"slices"

	badger "github.com/dgraph-io/badger"

	"auditmesh/crdt"
)

// timeRows goes through the records in the order of the list: by time, and those
// of one time by their dots, in which the numbers of the logs in the keys are not.
// What is of one time is put in order in memory if it is little. Else each of its
// logs is gone through after the other.
type timeRows struct {
	e            *env
	it           *badger.Iterator
	oldest       bool
	since, until uint64 // [since, until); an until of 0 bounds nothing
	after        *place // nil: from the beginning

	time uint64      // the present
	tied []timeRow   // of the present time, in order
	logs []logNumber // of the present time, in order, the first under the iterator
}

// timeRow is a record in the order of time.
type timeRow struct {
	place place
	log   logNumber
	task  taskRef // if it is a tag of one
	begin begin   // of the task
	isTag bool
}

// maxTied is how many records of one time are put in order in memory.
const maxTied = 256

func newTimeRows(e *env, q TaskQuery, after *place) *timeRows {
	r := &timeRows{e: e, oldest: q.Oldest, since: q.Since, until: q.Until, after: after}
	r.it = e.txn.NewIterator(badger.IteratorOptions{Reverse: !q.Oldest})
	r.it.Seek(r.start())
	return r
}

// close frees the iterator, before the transaction ends.
func (r *timeRows) close() { r.it.Close() }

// start is the key from which the rows are read.
func (r *timeRows) start() []byte {
	if r.oldest {
		from := r.since
		if r.after != nil {
			from = max(from, r.after.Time)
		}
		return keyOf(rowTime, from)
	}
	end := r.until
	if r.after != nil && r.after.Time < 1<<64-1 && (end == 0 || r.after.Time < end) {
		end = r.after.Time + 1 // there may be more of its time
	}
	if end == 0 {
		return []byte{rowTime + 1}
	}
	return keyOf(rowTime, end)
}

// next is the next row, false behind the last.
func (r *timeRows) next() (timeRow, bool, error) {
	for {
		switch {
		case len(r.tied) > 0:
			row := r.tied[0]
			r.tied = r.tied[1:]
			return row, true, r.e.fail
		case len(r.logs) > 0:
			if key, ok := r.key(); ok && binaryTime(key) == r.time && parseRef(key[9:]).log == r.logs[0] {
				row, err := r.row(key)
				r.it.Next()
				return row, true, err
			}
			r.logs = r.logs[1:]
			r.toLog()
		default:
			if more, err := r.group(); !more || err != nil {
				return timeRow{}, false, err
			}
		}
	}
}

// key is the key at the iterator, false behind the last that may be wanted.
func (r *timeRows) key() ([]byte, bool) {
	for ; r.it.Valid(); r.it.Next() {
		key := r.it.Item().Key()
		if key[0] != rowTime {
			if r.oldest || key[0] < rowTime {
				return nil, false
			}
			continue // at the start, backwards
		}
		at := binaryTime(key)
		if r.oldest && r.until > 0 && at >= r.until || !r.oldest && at < r.since {
			return nil, false
		}
		return key, true
	}
	return nil, false
}

// row reads the row at the iterator.
func (r *timeRows) row(key []byte) (row timeRow, err error) {
	at := parseRef(key[9:])
	row.log = at.log
	row.place = place{Time: binaryTime(key), Dot: crdt.Dot{Log: r.e.s.logByNumber(at.log), Seq: at.seq}}
	err = r.it.Item().Value(func(v []byte) error {
		row.task, row.begin, row.isTag = r.e.s.timeTag(at, row.place.Time, v)
		return nil
	})
	return row, err
}

// group goes on to the next time, and says whether there is one.
func (r *timeRows) group() (bool, error) {
	key, ok := r.key()
	if !ok {
		return false, r.e.fail
	}
	r.time = binaryTime(key)
	for n := 0; ok && binaryTime(key) == r.time; n++ {
		if n == maxTied {
			r.split()
			return true, r.e.fail
		}
		row, err := r.row(key)
		if err != nil {
			return false, err
		}
		r.tied = append(r.tied, row)
		r.it.Next()
		key, ok = r.key()
	}
	slices.SortFunc(r.tied, func(a, b timeRow) int { return r.compare(a.place.Dot, b.place.Dot) })
	if r.after != nil && r.after.Time == r.time {
		r.tied = slices.DeleteFunc(r.tied, func(x timeRow) bool { return r.compare(x.place.Dot, r.after.Dot) <= 0 })
	}
	return true, r.e.fail
}

// compare is the order in which dots of one time are given.
func (r *timeRows) compare(a, b crdt.Dot) int {
	if r.oldest {
		return r.e.compareDots(a, b)
	}
	return r.e.compareDots(b, a)
}

// split finds the logs that have records of the present time, and goes to the
// first of them.
func (r *timeRows) split() {
	r.tied = nil
	seek := func(behind logNumber) { // all of one log, as the iterator goes
		if r.oldest {
			behind++
		}
		r.it.Seek(keyOf(rowTime, r.time, behind))
	}
	r.it.Seek(r.edge(r.time))
	for key, ok := r.key(); ok && binaryTime(key) == r.time; key, ok = r.key() {
		log := parseRef(key[9:]).log
		if !r.isPast(log) {
			r.logs = append(r.logs, log)
		}
		seek(log)
	}
	slices.SortFunc(r.logs, func(a, b logNumber) int {
		return r.compare(crdt.Dot{Log: r.e.s.logByNumber(a)}, crdt.Dot{Log: r.e.s.logByNumber(b)})
	})
	r.toLog()
}

// edge is before all rows of a time, as the iterator goes.
func (r *timeRows) edge(time uint64) []byte {
	if r.oldest {
		return keyOf(rowTime, time)
	}
	return append(keyOf(rowTime, time), maxRef[:]...)
}

// isPast says whether all that a log has of the present time was before the cursor.
func (r *timeRows) isPast(n logNumber) bool {
	log := r.e.s.logByNumber(n)
	if r.after == nil || r.after.Time != r.time {
		return false
	}
	if log == r.after.Dot.Log {
		return !r.oldest && r.after.Dot.Seq == 0
	}
	return r.compare(crdt.Dot{Log: log}, crdt.Dot{Log: r.after.Dot.Log}) < 0
}

// toLog goes to the first record of the present log that is wanted, or behind the
// present time if no log is left.
func (r *timeRows) toLog() {
	if len(r.logs) == 0 {
		if r.oldest {
			r.it.Seek(append(keyOf(rowTime, r.time), maxRef[:]...))
		} else {
			r.it.Seek(keyOf(rowTime, r.time))
		}
		return
	}
	seq := ^uint64(0)
	if r.oldest {
		seq = 0
	}
	if r.after != nil && r.after.Time == r.time && r.after.Dot.Log == r.e.s.logByNumber(r.logs[0]) {
		if seq = r.after.Dot.Seq + 1; !r.oldest {
			seq -= 2
		}
	}
	r.it.Seek(keyOf(rowTime, r.time, ref{r.logs[0], seq}))
}
