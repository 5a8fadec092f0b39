package mirror

import (
	"errors"
	"io"

	"auditmesh/audit/event"
	"auditmesh/audit/segment"
	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// folder takes the records of one step into the view, or, in a step that undoes,
// out of it. The rows that it makes of a record depend on the record, on the cursor
// and on what it remembers of recent tasks: it reads no other rows.
type folder struct {
	step   *rows.Step
	list   *crdt.TaskList // says which operations are put
	log    crdt.Log
	cur    rows.Cursor
	recent *recentTasks
	// bound is the greatest time of the log up to the present record.
	bound uint64
	// opened are the tasks that the step started and did not see end.
	opened map[rows.TaskRef]openedAt
}

// openedAt is the record that started a task.
type openedAt struct {
	bound uint64
	at    rows.Ref
}

func newFolder(step *rows.Step, cur rows.Cursor, recent *recentTasks) *folder {
	return &folder{step: step, list: crdt.NewTaskList(step), log: step.Log(), cur: cur, recent: recent, opened: make(map[rows.TaskRef]openedAt)}
}

// run takes at most so many records before the record at end, and puts the cursor.
func (f *folder) run(r *segment.Reader, end uint64, records int) error {
	for n, bytes := 0, 0; n < records && bytes < stepBytes && r.Seq() < end; n++ {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		bytes += len(rec.Line)
		if err := f.record(rec); err != nil {
			return err
		}
	}
	for task, o := range f.opened {
		if err := f.step.PutOpen(task, o.bound, o.at); err != nil {
			return err
		}
	}
	return f.step.PutCursor(f.cur)
}

// record takes one record. Every one has its row in the order of time, what it may
// do to the view or not.
func (f *folder) record(rec segment.Record) error {
	at := f.step.Ref(rec.Seq)
	e, err := event.Decode(rec.Line)
	time, bound := advance(&f.cur, rec.Seq, e, f.step.Undoes())
	f.bound = bound
	if err != nil {
		return f.step.PutTime(time, at)
	}
	op, ok := rows.Operation(f.log, rec.Seq, e)
	if !ok {
		return f.step.PutTime(time, at)
	}
	f.step.Line(rec.Line)
	if err := f.list.Apply(op); err != nil {
		return err
	}
	if !isOnTask(op) {
		return f.step.PutTime(time, at)
	}
	return f.index(op, at, time)
}

// isOnTask says whether an operation is on one task: not on ranges, nor on the
// order of logs.
func isOnTask(op crdt.Op) bool {
	if b, ok := op.Body.(crdt.Removal); ok && len(b.Ranges) > 0 {
		return false
	}
	return op.Task != crdt.TaskKey{}
}

// index puts the rows by which queries find the task of an operation.
func (f *folder) index(op crdt.Op, at rows.Ref, time uint64) error {
	task, err := f.step.Task(op.Task)
	if err != nil {
		return err
	}
	var first rows.FirstRecord
	tag := crdt.IsTag(op.Body)
	if tag && !f.step.Undoes() {
		first = f.recent.meet(task, at, f.bound)
	}
	if err := f.post(op, task, at, first); err != nil {
		return err
	}
	if err := f.trackOpen(op, task, at); err != nil {
		return err
	}
	if !tag {
		return f.step.PutTime(time, at)
	}
	return f.step.PutTagTime(time, at, task, first)
}

// trackOpen keeps the set of open tasks: those that were started and have no exit
// yet. It also marks the tasks that a removal names.
func (f *folder) trackOpen(op crdt.Op, task rows.TaskRef, at rows.Ref) error {
	switch op.Body.(type) {
	case crdt.Removal:
		return f.step.MarkRemoved(task, at)
	case crdt.Started:
		if f.step.Undoes() {
			return f.step.DeleteOpenOf(task, f.bound, at) // else it was started again
		}
		f.opened[task] = openedAt{f.bound, at}
	case crdt.Exit, crdt.Denial:
		if f.step.Undoes() {
			return nil // a start before it went first; one after it is open now, and has its row
		}
		if _, here := f.opened[task]; !here {
			return f.step.DeleteOpen(task)
		}
		// What starts and ends in one step never has a row. One of an earlier start
		// may stay: whether a task still runs is seen when it is read.
		delete(f.opened, task)
	}
	return nil
}

// advance takes the next record into a cursor, or with undo lets go of its first:
// the event is nil if it is unreadable. It returns the time at which the record
// stands, and the greatest up to there.
func advance(c *rows.Cursor, seq uint64, e event.Event, undo bool) (time, greatest uint64) {
	at, bound, one := &c.LastTime, &c.Greatest, uint64(1)
	if undo {
		at, bound, one = &c.TimeBefore, &c.GreatestBefore, ^uint64(0)
		c.First = seq + 1
	} else {
		c.Size = seq + 1
	}
	switch e.(type) {
	case nil:
		c.Unreadable += one
		return *at, *bound
	case *event.Unknown:
		c.Unknown += one
	}
	if c.Greatest == 0 {
		c.StartTime = e.Time()
	}
	*at, *bound = e.Time(), max(*bound, e.Time())
	return *at, *bound
}
