package mirror

import (
	"auditmesh/crdt"
)

// Reviewable is a task as a reviewer sees it: what a release or a write takes the
// place of, as far as is known here.
type Reviewable struct {
	Key   crdt.TaskKey
	Marks []crdt.Dot // of the review's checkbox
	// Writes are those of the register that was asked for.
	Writes []crdt.Dot
}

// Reviewables finds the tasks whose request id begins with prefix, with what is
// there of the register field. At most limit.
func (m *Mirror) Reviewables(prefix, field string, limit int) (list []Reviewable, err error) {
	err = m.read(func(s *snapshot) error {
		return s.tasksWith(prefix, limit, func(t *crdt.Task) error {
			list = append(list, Reviewable{t.Key, t.ReviewMarks(s.list), t.NoteWrites(s.list, field)})
			return nil
		})
	})
	return list, err
}
