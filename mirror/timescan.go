package mirror

import (
	"slices"

	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// timeScan goes through tasks in the order of the list, from a place on. Each
// task's tags are all in the order of time; it is listedTask at the one that gives it
// its time.
type timeScan struct {
	s      *snapshot
	q      TaskQuery
	rows   *timeRows
	budget int // of records, after which spent is set

	cur  listedTask                  // after next
	seen map[rows.TaskRef]listedTask // tasks whose records were met: they are made once

	spent bool
	end   crdt.Place // of the last record that was gone through
	err   error
}

func newTimeScan(s *snapshot, q TaskQuery, after *crdt.Place, budget int) *timeScan {
	return &timeScan{s: s, q: q, rows: newTimeRows(s, q, after), budget: budget, seen: make(map[rows.TaskRef]listedTask)}
}

// next goes on to the next task, and says whether there is one.
func (t *timeScan) next() bool {
	for t.err == nil && !t.spent {
		row, ok, err := t.rows.next()
		if err != nil || !ok {
			t.err = err
			return false
		}
		if t.budget <= 0 {
			t.spent = true
			return false
		}
		t.budget--
		t.end = row.place
		if t.lists(row) {
			return true
		}
	}
	return false
}

func (t *timeScan) at() listedTask { return t.cur }
func (t *timeScan) from() uint64   { return 0 }

func (t *timeScan) stopped() (*pageCursor, error) {
	if !t.spent || t.err != nil {
		return nil, t.err
	}
	return &pageCursor{Place: t.end}, nil
}

func (t *timeScan) close() { t.rows.close() }

// lists says whether a record gives its task the time, and makes the task then.
func (t *timeScan) lists(row timeRow) bool {
	if !row.isTag || len(t.q.Nodes) > 0 && !slices.Contains(t.q.Nodes, row.place.Dot.Node) {
		return false
	}
	x, ok := t.seen[row.task]
	if !ok {
		var earlier bool
		if x, earlier, t.err = t.make(row); t.err != nil || earlier {
			return false
		}
	}
	if x.place.Dot != row.place.Dot {
		t.seen[row.task] = x
		return false
	}
	t.cur = listedTask{row.place, x.item}
	x.item = crdt.Item{} // it is listed once
	t.seen[row.task] = x
	return true
}

// make reads the task of a record, if it may be listed there: if it has no earlier
// place, as far as the row itself tells.
func (t *timeScan) make(row timeRow) (x listedTask, earlier bool, err error) {
	if earlier, err = t.s.stands(row.task, row.log, row.first); err != nil || earlier {
		return x, earlier, err
	}
	task, err := t.s.task(row.task)
	if err != nil {
		return x, false, err
	}
	x.item, x.place, err = t.s.list.Show(task)
	return x, false, err
}
