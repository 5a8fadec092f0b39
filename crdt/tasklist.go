package crdt

import (
	"cmp"
	"slices"
)

// TaskList is a replica's list of tasks: the rules of the view over the
// operations that a [Store] keeps. It decides which operations are put, and what
// those that are kept show.
//
// A list remembers what it looked up of successions and removed ranges. So while
// one is in use, its store changes through its Apply alone; to see another state
// of the store, make another list.
type TaskList struct {
	store Store

	predecessors  map[Log]Log        // looked up; the zero Log: there is none
	removedRanges map[Log]rangeIndex // looked up
	rangeRemovals map[Dot]Op         // looked up, at most maxRangeRemovals
	err           error              // the first error of the store, see Err
}

// maxRangeRemovals bounds the removals that a list remembers: one may name
// thousands of ranges, and what removed one task mostly removed the next.
const maxRangeRemovals = 64

// NewTaskList makes a list over what a store keeps.
func NewTaskList(s Store) *TaskList {
	return &TaskList{
		store:        s,
		predecessors: make(map[Log]Log), removedRanges: make(map[Log]rangeIndex), rangeRemovals: make(map[Dot]Op),
	}
}

// Err is the first error of the store. What the list showed after it may be wrong:
// methods that return no error of their own go on without what they lack.
func (l *TaskList) Err() error { return l.err }

func (l *TaskList) failed(err error) {
	if l.err == nil {
		l.err = err
	}
}

// Apply puts an operation into the store. What its writer has no right to is left
// out; that is no error, since a node may write anything into its own log.
func (l *TaskList) Apply(op Op) error {
	if !op.allowed() {
		return nil
	}
	switch b := op.Body.(type) {
	case Succession:
		delete(l.predecessors, op.Dot.Log)
	case Removal:
		for _, r := range b.Ranges {
			delete(l.removedRanges, r.Log)
		}
	}
	return l.store.Put(op)
}

// Task is what is kept of one task.
func (l *TaskList) Task(key TaskKey) (*Task, error) {
	t := newTask(key)
	err := l.store.Operations(key, t.apply)
	return t, err
}

// Each calls f for each task of which a tag is kept, removed ones too, in the
// order of (node, request id), until f fails.
func (l *TaskList) Each(f func(*Task) error) error {
	var task *Task // of the operations so far
	finish := func() error {
		if task == nil || !task.Exists() { // a review of a task that is not here
			return nil
		}
		return f(task)
	}
	err := l.store.AllOperations(func(op Op) error {
		if task == nil || task.Key != op.Task {
			if err := finish(); err != nil {
				return err
			}
			task = newTask(op.Task)
		}
		task.apply(op)
		return nil
	})
	if err != nil {
		return err
	}
	return finish()
}

// InRemovedRange says whether a removal by range may cover a dot. No is certain.
func (l *TaskList) InRemovedRange(d Dot) bool { return l.rangesOf(d.Log).has(d.Seq) }

func (l *TaskList) rangesOf(log Log) rangeIndex {
	x, known := l.removedRanges[log]
	if !known {
		list, err := l.store.RemovedRanges(log)
		l.failed(err)
		x = newRangeIndex(list)
		l.removedRanges[log] = x
	}
	return x
}

// removalsByRange are the removals by range that cover a dot, in any order.
func (l *TaskList) removalsByRange(d Dot) (list []Op) {
	for _, by := range l.rangesOf(d.Log).covering(d.Seq) {
		if op := l.rangeRemoval(by); removesByRange(op, d) {
			list = append(list, op)
		}
	}
	return list
}

// rangeRemoval is the removal by range of a dot, the zero Op if none is kept.
func (l *TaskList) rangeRemoval(d Dot) Op {
	op, known := l.rangeRemovals[d]
	if known {
		return op
	}
	op, kept, err := l.store.RangeRemoval(d)
	l.failed(err)
	if kept && len(l.rangeRemovals) < maxRangeRemovals {
		l.rangeRemovals[d] = op
	}
	return op
}

// removesByRange says whether a removal names a range with a dot in it, and may.
func removesByRange(op Op, d Dot) bool {
	b, ok := op.Body.(Removal)
	return ok && op.allowed() && slices.ContainsFunc(b.Ranges, func(r Range) bool {
		return r.Log == d.Log && r.First <= d.Seq && d.Seq < r.End
	})
}

// Place is where a task stands in the list: the time and the dot of its lowest
// record that is shown.
type Place struct {
	Time uint64 // milliseconds since 1970
	Dot  Dot
}

// ComparePlaces is the order of the list, oldest first: by time, then by dot.
func (l *TaskList) ComparePlaces(a, b Place) int {
	if c := cmp.Compare(a.Time, b.Time); c != 0 {
		return c
	}
	return CompareDots(l, a.Dot, b.Dot)
}
