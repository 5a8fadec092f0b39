package mirror

import (
	"cmp"
	"errors"

	"auditmesh/audit/holdings"
	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// snapshot is one state of the view, as a question reads it: all of its answer is
// of that state. The list has the rules, the transaction the rows.
type snapshot struct {
	tx   *rows.Tx
	list *crdt.TaskList
	// firsts has of each log the first record that is folded, where it was looked up.
	firsts map[rows.LogNumber]uint64
}

// read runs f on the present state of the view. An error that the list met where
// it could not return it comes out here.
func (m *Mirror) read(f func(*snapshot) error) error {
	m.awaitOpen()
	if err := m.stalled(); err != nil {
		return &unavailableError{err}
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.store == nil {
		return &unavailableError{cmp.Or(m.Err(), errOpening)}
	}
	return m.store.View(func(tx *rows.Tx) error {
		s := &snapshot{tx: tx, list: crdt.NewTaskList(tx), firsts: make(map[rows.LogNumber]uint64)}
		return cmp.Or(f(s), s.list.Err())
	})
}

// cursorOf is which records of a held log are folded: none yet, if there is no cursor.
func cursorOf(tx *rows.Tx, log holdings.Log) (rows.Cursor, error) {
	c, ok, err := tx.Cursor(rows.LogOf(holdings.NameOf(log)))
	if err == nil && !ok {
		c = beginOf(log)
	}
	return c, err
}

// task reads a task.
func (s *snapshot) task(r rows.TaskRef) (*crdt.Task, error) {
	return s.list.Task(crdt.TaskKey{Node: s.tx.Store().NodeID(r.Node), Request: r.Request})
}

// listedTask is a task as it is shown, and where it stands in the list.
type listedTask struct {
	place crdt.Place
	item  crdt.Item
}

// listed reads a task and where it stands, nil if it has no tag.
func (s *snapshot) listed(r rows.TaskRef) (*listedTask, error) {
	t, err := s.task(r)
	if err != nil || !t.Exists() {
		return nil, err
	}
	item, place, err := s.list.Show(t)
	return &listedTask{place, item}, err
}

// isAfter says whether a place comes after another in the order of a query.
func (s *snapshot) isAfter(q TaskQuery, p, other crdt.Place) bool {
	c := s.list.ComparePlaces(p, other)
	return c > 0 && q.Oldest || c < 0 && !q.Oldest
}

// stands says whether the record that a hint names is held and not removed. Only
// then the task's place is there or before.
func (s *snapshot) stands(task rows.TaskRef, log rows.LogNumber, f rows.FirstRecord) (bool, error) {
	if !f.Known {
		return false, nil
	}
	first, err := s.firstOf(log)
	if err != nil || f.Seq < first {
		return false, err
	}
	if s.list.InRemovedRange(crdt.Dot{Log: s.tx.Store().Log(log), Seq: f.Seq}) {
		return false, s.list.Err()
	}
	removed, err := s.tx.IsMarkedRemoved(task, log)
	return !removed, err
}

func (s *snapshot) firstOf(log rows.LogNumber) (uint64, error) {
	first, known := s.firsts[log]
	if known {
		return first, nil
	}
	c, ok, err := s.tx.CursorOf(log)
	if err == nil && !ok {
		err = errors.New("the view has rows of a log without a cursor")
	}
	s.firsts[log] = c.First
	return c.First, err
}
