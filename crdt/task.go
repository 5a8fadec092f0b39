package crdt

import "slices"

// Task is what a replica has seen of one task.
type Task struct {
	Key TaskKey

	tags     ORSet[Op] // tags; removals are consulted when showing, see Env
	removals ORSet[Op] // Removal of this task by its request id
	review   Checkbox
	notes    map[string]*Register // by field
}

// NewTask makes a task of which nothing is known.
func NewTask(key TaskKey) *Task { return &Task{Key: key, notes: make(map[string]*Register)} }

// Apply takes in an operation on this task. Applying one twice changes nothing.
// What its writer has no right to, and operations on other tasks, are ignored.
func (t *Task) Apply(op Op) {
	if op.Task != t.Key || !op.valid() {
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

// Merge takes in all that u has seen of the same task.
func (t *Task) Merge(u *Task) {
	t.tags.Merge(&u.tags)
	t.removals.Merge(&u.removals)
	t.review.Merge(&u.review)
	for field, r := range u.notes {
		if t.notes[field] == nil {
			t.notes[field] = new(Register)
		}
		t.notes[field].Merge(r)
	}
}

// Exists says whether any tag of the task was seen, removed or not.
func (t *Task) Exists() bool { return len(t.tags.adds) > 0 }

// Env is what a task's item depends on beside the task's own operations.
type Env interface {
	Order
	// RangeRemovals are the removals by range that cover a dot, in any order.
	RangeRemovals(Dot) []Op
}

// covers says whether a removal by request id covers a dot of its task.
func covers(removal Op, d Dot) bool {
	return removal.Dot.Log == d.Log && d.Seq < removal.Dot.Seq
}

// removalsOf are the removals that cover a dot.
func (t *Task) removalsOf(env Env, d Dot) []Op {
	list := slices.Clone(env.RangeRemovals(d))
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
