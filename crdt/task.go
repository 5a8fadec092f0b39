package crdt

// Task is what a replica has seen of one task.
type Task struct {
	Key TaskKey

	tags     ORSet[Op] // tags; removals are consulted when the task is shown
	removals ORSet[Op] // Removal of this task by its request id
	review   Checkbox
	notes    map[string]*Register // by field
}

// newTask makes a task of which nothing is known.
func newTask(key TaskKey) *Task { return &Task{Key: key, notes: make(map[string]*Register)} }

// apply takes in an operation on this task. Applying one twice changes nothing.
// What its writer has no right to, and operations on other tasks, are left out.
func (t *Task) apply(op Op) {
	if op.Task != t.Key || !op.allowed() {
		return
	}
	switch b := op.Body.(type) {
	case Removal:
		t.removals.Add(op.Dot, op)
	case Review:
		if b.Completed {
			t.review.Complete(op)
		} else {
			t.review.Claim(op)
		}
	case Release:
		t.review.Release(b.Replaces...)
	case Note:
		r := t.notes[b.Field]
		if r == nil {
			r = new(Register)
			t.notes[b.Field] = r
		}
		r.Write(op, b.Replaces...)
	case Succession:
	default:
		t.tags.Add(op.Dot, op)
	}
}

// Exists says whether any tag of the task was seen, removed or not.
func (t *Task) Exists() bool { return len(t.tags.adds) > 0 }

// covers says whether a removal by request id covers a dot of its task.
func covers(removal Op, d Dot) bool {
	return removal.Dot.Log == d.Log && d.Seq < removal.Dot.Seq
}

// removalsOf are the removals that cover a dot of the task.
func (l *TaskList) removalsOf(t *Task, d Dot) []Op {
	list := l.removalsByRange(d)
	for _, r := range t.removals.adds {
		if covers(r, d) {
			list = append(list, r)
		}
	}
	return list
}

// ReviewMarks are the dots of the review's claims and completions that nothing
// released.
func (t *Task) ReviewMarks(o Order) []Dot { return t.review.Marks(o) }

// NoteWrites are the dots of the writes of a register that nobody replaced.
func (t *Task) NoteWrites(o Order, field string) []Dot {
	if r := t.notes[field]; r != nil {
		return r.Writes(o)
	}
	return nil
}
