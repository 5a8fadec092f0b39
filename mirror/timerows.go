package mirror

import (
	"slices"

	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// timeRows goes through the records in the order of the list: by time, and those
// of one time by their dots. The rows of one time are in the order of the numbers
// of their logs, which is another. So what is of one time is put in order in memory
// if it is little; else its logs are gone through one after the other.
type timeRows struct {
	s            *snapshot
	it           *rows.TimeIterator
	oldest       bool
	since, until uint64      // [since, until); an until of 0 bounds nothing
	after        *crdt.Place // nil: from the first on

	time uint64           // the present
	tied []timeRow        // of the present time, in order
	logs []rows.LogNumber // of the present time, in order, the first under the iterator
}

// timeRow is a record in the order of time.
type timeRow struct {
	place crdt.Place
	log   rows.LogNumber
	task  rows.TaskRef     // if it is a tag of one
	first rows.FirstRecord // of the task
	isTag bool
}

// maxTied is how many records of one time are put in order in memory.
const maxTied = 256

func newTimeRows(s *snapshot, q TaskQuery, after *crdt.Place) *timeRows {
	r := &timeRows{s: s, oldest: q.Oldest, since: q.Since, until: q.Until, after: after}
	r.it = s.tx.TimeIterator(!q.Oldest)
	r.start()
	return r
}

// close frees the iterator, before the transaction ends.
func (r *timeRows) close() { r.it.Close() }

// start goes to where the rows are read from.
func (r *timeRows) start() {
	if r.oldest {
		from := r.since
		if r.after != nil {
			from = max(from, r.after.Time)
		}
		r.it.SeekTime(from)
		return
	}
	end := r.until
	if r.after != nil && r.after.Time < 1<<64-1 && (end == 0 || r.after.Time < end) {
		end = r.after.Time + 1 // there may be more of its time
	}
	if end == 0 {
		r.it.SeekLast()
	} else {
		r.it.SeekTime(end)
	}
}

// next is the next row, false behind the last.
func (r *timeRows) next() (timeRow, bool, error) {
	for {
		switch {
		case len(r.tied) > 0:
			row := r.tied[0]
			r.tied = r.tied[1:]
			return row, true, r.s.list.Err()
		case len(r.logs) > 0:
			if time, at, ok := r.at(); ok && time == r.time && at.Log == r.logs[0] {
				row, err := r.row(time, at)
				r.it.Next()
				return row, true, err
			}
			r.logs = r.logs[1:]
			r.toLog()
		default:
			if more, err := r.nextTime(); !more || err != nil {
				return timeRow{}, false, err
			}
		}
	}
}

// at is the record at the iterator, false behind the last that may be wanted.
func (r *timeRows) at() (time uint64, at rows.Ref, ok bool) {
	time, at, ok = r.it.At()
	if r.oldest && r.until > 0 && time >= r.until || !r.oldest && time < r.since {
		return 0, at, false
	}
	return time, at, ok
}

// row reads the row at the iterator.
func (r *timeRows) row(time uint64, at rows.Ref) (row timeRow, err error) {
	row.log = at.Log
	row.place = crdt.Place{Time: time, Dot: crdt.Dot{Log: r.s.tx.Store().Log(at.Log), Seq: at.Seq}}
	row.task, row.first, row.isTag, err = r.it.Tag()
	return row, err
}

// nextTime goes on to the next time, and says whether there is one.
func (r *timeRows) nextTime() (bool, error) {
	time, at, ok := r.at()
	if !ok {
		return false, r.s.list.Err()
	}
	r.time = time
	for n := 0; ok && time == r.time; n++ {
		if n == maxTied {
			r.split()
			return true, r.s.list.Err()
		}
		row, err := r.row(time, at)
		if err != nil {
			return false, err
		}
		r.tied = append(r.tied, row)
		r.it.Next()
		time, at, ok = r.at()
	}
	slices.SortFunc(r.tied, func(a, b timeRow) int { return r.compare(a.place.Dot, b.place.Dot) })
	if r.after != nil && r.after.Time == r.time {
		r.tied = slices.DeleteFunc(r.tied, func(x timeRow) bool { return r.compare(x.place.Dot, r.after.Dot) <= 0 })
	}
	return true, r.s.list.Err()
}

// compare is the order in which dots of one time are given.
func (r *timeRows) compare(a, b crdt.Dot) int {
	if r.oldest {
		return crdt.CompareDots(r.s.list, a, b)
	}
	return crdt.CompareDots(r.s.list, b, a)
}

// split finds the logs that have records of the present time, and goes to the
// first of them.
func (r *timeRows) split() {
	r.tied = nil
	r.it.SeekInto(r.time)
	for time, at, ok := r.at(); ok && time == r.time; time, at, ok = r.at() {
		if !r.isPast(at.Log) {
			r.logs = append(r.logs, at.Log)
		}
		r.it.SeekBehindLog(r.time, at.Log)
	}
	slices.SortFunc(r.logs, func(a, b rows.LogNumber) int {
		return r.compare(crdt.Dot{Log: r.log(a)}, crdt.Dot{Log: r.log(b)})
	})
	r.toLog()
}

func (r *timeRows) log(n rows.LogNumber) crdt.Log { return r.s.tx.Store().Log(n) }

// isPast says whether all that a log has of the present time was before the cursor.
func (r *timeRows) isPast(n rows.LogNumber) bool {
	log := r.log(n)
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
		r.it.SeekBehind(r.time)
		return
	}
	seq := ^uint64(0)
	if r.oldest {
		seq = 0
	}
	if r.after != nil && r.after.Time == r.time && r.after.Dot.Log == r.log(r.logs[0]) {
		if seq = r.after.Dot.Seq + 1; !r.oldest {
			seq -= 2
		}
	}
	r.it.SeekRecord(r.time, rows.Ref{Log: r.logs[0], Seq: seq})
}
