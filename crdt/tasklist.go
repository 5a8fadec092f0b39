package crdt

import (
	"cmp"
	"slices"
)

// TaskList is a whole replica in memory: the reference of what the mirror keeps
// in its store, and what a small program uses.
type TaskList struct {
	tasks    map[TaskKey]*Task
	covered  Ranges
	removals map[Dot]Op // removals by range
	order    SuccessionOrder
}

// NewTaskList makes an empty list.
func NewTaskList() *TaskList {
	return &TaskList{tasks: make(map[TaskKey]*Task), removals: make(map[Dot]Op)}
}

// Apply takes in an operation. What its writer has no right to is ignored.
func (l *TaskList) Apply(op Op) {
	if !op.valid() {
		return
	}
	switch b := op.Body.(type) {
	case Succession:
		l.order.Add(op)
		return
	case Removal:
		if len(b.Ranges) > 0 {
			l.removals[op.Dot] = op
			for _, r := range b.Ranges {
				l.covered.Add(r)
			}
			return
		}
	}
	l.task(op.Task).Apply(op)
}

func (l *TaskList) task(key TaskKey) *Task {
	t := l.tasks[key]
	if t == nil {
		t = NewTask(key)
		l.tasks[key] = t
	}
	return t
}

// Merge takes in all that m has seen.
func (l *TaskList) Merge(m *TaskList) {
	for key, t := range m.tasks {
		l.task(key).Merge(t)
	}
	for _, op := range m.removals {
		l.Apply(op)
	}
	l.order.Merge(&m.order)
}

// Rank is that of the order of succession.
func (l *TaskList) Rank(log Log) int { return l.order.Rank(log) }

// RangeRemovals are the removals by range that cover a dot.
func (l *TaskList) RangeRemovals(d Dot) []Op {
	if !l.covered.Has(d) {
		return nil
	}
	var list []Op
	for _, op := range l.removals {
		if RemovesByRange(op, d) {
			list = append(list, op)
		}
	}
	return list
}

// RemovesByRange says whether a removal's ranges cover a dot.
func RemovesByRange(op Op, d Dot) bool {
	b, ok := op.Body.(Removal)
	return ok && slices.ContainsFunc(b.Ranges, func(r Range) bool {
		return r.Log == d.Log && r.First <= d.Seq && d.Seq < r.End
	})
}

// Items are all tasks of which a tag was seen, removed ones too, newest first:
// by (time, node, log, seq) of their lowest dot, descending.
func (l *TaskList) Items() []Item {
	type row struct {
		item Item
		dot  Dot
	}
	var rows []row
	for _, t := range l.tasks {
		if !t.Exists() {
			continue
		}
		it, dot := t.Placed(l)
		rows = append(rows, row{it, dot})
	}
	slices.SortFunc(rows, func(a, b row) int {
		if c := cmp.Compare(b.item.Time, a.item.Time); c != 0 {
			return c
		}
		return CompareDots(l, b.dot, a.dot)
	})
	items := make([]Item, len(rows))
	for i, r := range rows {
		items[i] = r.item
	}
	return items
}
