package mirror

import (
	"slices"

	badger "github.com/dgraph-io/badger"

	"auditmesh/crdt"
)

// timeScan goes through tasks in the order of the list, from a place on. Each
// task's tags are all in the order of time; it is listed at the one that gives it
// its time.
type timeScan struct {
	e      *env
	q      TaskQuery
	after  *place
	budget int // of records, after which spent is set

	cur listed // after next

	it    *badger.Iterator
	seen  map[taskRef]listed // tasks whose records were met: they are made once
	same  []listed           // tasks of one time, in order, that are not returned yet
	ended bool
	spent bool
	end   place // behind all that was gone through, once spent
	err   error
}

type listed struct {
	place place
	item  crdt.Item
}

// next goes on to the next task, and says whether there is one.
func (s *timeScan) next() bool {
	for len(s.same) == 0 {
		if s.ended || s.spent || s.err != nil {
			return false
		}
		s.err = s.group()
	}
	s.cur = s.same[0]
	s.same = s.same[1:]
	return true
}

// group reads the tasks of the next time that has any. A group is read whole:
// what is of one time is put in order by dots.
func (s *timeScan) group() error {
	if s.it == nil {
		s.it = s.e.txn.NewIterator(badger.IteratorOptions{Reverse: !s.q.Oldest, PrefetchValues: true, PrefetchSize: 100})
		s.it.Seek(s.start())
	}
	for time, first := uint64(0), true; ; first = false {
		key, ok := s.row()
		if !ok {
			s.ended = true
			break
		}
		at := binaryTime(key)
		if !first && at != time {
			if s.budget <= 0 { // at least one time was gone through
				s.spent, s.end = true, endOf(time, s.q.Oldest)
			}
			break
		}
		time = at
		if s.after == nil || at != s.after.Time { // what is gone through again is free
			s.budget--
		}
		if err := s.tag(key, at); err != nil {
			return err
		}
		s.it.Next()
	}
	slices.SortFunc(s.same, func(a, b listed) int {
		if s.q.Oldest {
			a, b = b, a
		}
		return s.e.compareDots(b.place.Dot, a.place.Dot)
	})
	s.same = slices.DeleteFunc(s.same, func(x listed) bool { return s.after != nil && !s.e.isAfter(s.q, x.place, *s.after) })
	return s.e.fail
}

func (s *timeScan) at() listed   { return s.cur }
func (s *timeScan) from() uint64 { return 0 }

func (s *timeScan) stopped() (*place, error) {
	if !s.spent || s.err != nil {
		return nil, s.err
	}
	return &s.end, nil
}

// close frees the iterator, before the transaction ends.
func (s *timeScan) close() {
	if s.it != nil {
		s.it.Close()
	}
}

// start is the key from which the list is read.
func (s *timeScan) start() []byte {
	if s.q.Oldest {
		from := s.q.Since
		if s.after != nil {
			from = max(from, s.after.Time)
		}
		return keyOf(rowTime, from)
	}
	until := s.q.Until
	if s.after != nil && s.after.Time < 1<<64-1 {
		end := s.after.Time
		if (s.after.Dot != crdt.Dot{}) { // there may be more of its time
			end++
		}
		if until == 0 || end < until {
			until = end
		}
	}
	if until == 0 && s.after == nil {
		return []byte{rowTime + 1}
	}
	return keyOf(rowTime, until)
}

// row is the key at the iterator, false behind the last that may be wanted.
func (s *timeScan) row() ([]byte, bool) {
	for ; s.it.Valid(); s.it.Next() {
		key := s.it.Item().Key()
		if key[0] != rowTime {
			if s.q.Oldest || key[0] < rowTime {
				return nil, false
			}
			continue // at the start, backwards
		}
		at := binaryTime(key)
		if s.q.Oldest && s.q.Until > 0 && at >= s.q.Until || !s.q.Oldest && at < s.q.Since {
			return nil, false
		}
		return key, true
	}
	return nil, false
}

// tag adds the task of a record, if the record gives the task its time.
func (s *timeScan) tag(key []byte, time uint64) error {
	at := parseRef(key[9:])
	p := place{Time: time, Dot: crdt.Dot{Log: s.e.s.logByNumber(at.log), Seq: at.seq}}
	if len(s.q.Nodes) > 0 && !slices.Contains(s.q.Nodes, p.Dot.Node) {
		return nil
	}
	var task taskRef
	isTag := false
	err := s.it.Item().Value(func(v []byte) error {
		task, isTag = s.e.s.taskOfTime(at.log, v)
		return nil
	})
	if err != nil || !isTag {
		return err
	}
	x, ok := s.seen[task]
	if !ok {
		t, err := s.e.task(task, p.Dot.Node)
		if err != nil {
			return err
		}
		x.item, x.place.Dot = t.Placed(s.e)
	}
	if x.place.Dot == p.Dot {
		s.same = append(s.same, listed{p, x.item})
		x.item = crdt.Item{} // it is listed once
	}
	s.seen[task] = x
	return nil
}

// isAfter says whether a place comes after another in the order of a query.
func (e *env) isAfter(q TaskQuery, p, other place) bool {
	c := e.comparePlaces(p, other)
	return c > 0 && q.Oldest || c < 0 && !q.Oldest
}

// endOf is the place behind all tasks of one time. No dot is as low as the zero one.
func endOf(time uint64, oldest bool) place {
	if oldest {
		return place{Time: time + 1}
	}
	return place{Time: time}
}
