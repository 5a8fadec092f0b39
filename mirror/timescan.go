package mirror

import (
	"slices"

	"auditmesh/crdt"
)

// timeScan goes through tasks in the order of the list, from a place on. Each
// task's tags are all in the order of time; it is listed at the one that gives it
// its time.
type timeScan struct {
	e      *env
	q      TaskQuery
	rows   *timeRows
	budget int // of records, after which spent is set

	cur  listed             // after next
	seen map[taskRef]listed // tasks whose records were met: they are made once

	spent bool
	end   place // of the last record that was gone through
	err   error
}

type listed struct {
	place place
	item  crdt.Item
}

func newTimeScan(e *env, q TaskQuery, after *place, budget int) *timeScan {
	return &timeScan{e: e, q: q, rows: newTimeRows(e, q, after), budget: budget, seen: make(map[taskRef]listed)}
}

// next goes on to the next task, and says whether there is one.
func (s *timeScan) next() bool {
	for s.err == nil && !s.spent {
		row, ok, err := s.rows.next()
		if err != nil || !ok {
			s.err = err
			return false
		}
		if s.budget <= 0 {
			s.spent = true
			return false
		}
		s.budget--
		s.end = row.place
		if s.lists(row) {
			return true
		}
	}
	return false
}

func (s *timeScan) at() listed   { return s.cur }
func (s *timeScan) from() uint64 { return 0 }

func (s *timeScan) stopped() (*place, error) {
	if !s.spent || s.err != nil {
		return nil, s.err
	}
	return &s.end, nil
}

func (s *timeScan) close() { s.rows.close() }

// lists says whether a record gives its task the time, and makes the task then.
func (s *timeScan) lists(row timeRow) bool {
	if !row.isTag || len(s.q.Nodes) > 0 && !slices.Contains(s.q.Nodes, row.place.Dot.Node) {
		return false
	}
	x, ok := s.seen[row.task]
	if !ok && s.e.stands(row.task, row.log, row.begin) {
		return false // it is listed there or before
	}
	if !ok {
		t, err := s.e.task(row.task, row.place.Dot.Node)
		if err != nil {
			s.err = err
			return false
		}
		x.item, x.place.Dot = t.Placed(s.e)
	}
	if x.place.Dot != row.place.Dot {
		s.seen[row.task] = x
		return false
	}
	s.cur = listed{row.place, x.item}
	x.item = crdt.Item{} // it is listed once
	s.seen[row.task] = x
	return true
}

// isAfter says whether a place comes after another in the order of a query.
func (e *env) isAfter(q TaskQuery, p, other place) bool {
	c := e.comparePlaces(p, other)
	return c > 0 && q.Oldest || c < 0 && !q.Oldest
}
