package crdttest

import (
	"maps"
	"slices"

	"auditmesh/crdt"
)

// View is one replica's view, as a schedule drives it. Its store is what is tested.
type View interface {
	// Fold takes in operations as one step. A step that crashes takes none of them in.
	Fold(ops []crdt.Op, crash bool) error
	// Read calls f with the list of the present state.
	Read(f func(*crdt.TaskList) error) error
}

// Memory is a View over a crdt.MemoryStore. Its list lives as long as it does, so
// that what a list remembers has to follow what is put through it.
type Memory struct {
	Store *crdt.MemoryStore
	list  *crdt.TaskList
	ops   map[crdt.Dot]crdt.Op // that were folded
}

// NewMemory makes an empty view.
func NewMemory() *Memory {
	s := new(crdt.MemoryStore)
	return &Memory{Store: s, list: crdt.NewTaskList(s), ops: make(map[crdt.Dot]crdt.Op)}
}

// MemoryOf makes a view of operations.
func MemoryOf(ops ...crdt.Op) (*Memory, error) {
	m := NewMemory()
	return m, m.Fold(ops, false)
}

// Fold takes in operations; a step that crashes spoils a copy alone.
func (m *Memory) Fold(ops []crdt.Op, crash bool) error {
	if crash {
		half, err := MemoryOf(slices.Collect(maps.Values(m.ops))...)
		if err != nil {
			return err
		}
		return half.Fold(ops[:len(ops)/2], false)
	}
	for _, op := range ops {
		if err := m.list.Apply(op); err != nil {
			return err
		}
		m.ops[op.Dot] = op
	}
	return nil
}

// Merge takes in all that another view has seen.
func (m *Memory) Merge(other *Memory) error {
	return m.Fold(slices.Collect(maps.Values(other.ops)), false)
}

// Read calls f with the list.
func (m *Memory) Read(f func(*crdt.TaskList) error) error { return f(m.list) }

// Newest are all tasks of a view, newest first.
func (m *Memory) Newest() ([]crdt.Item, error) { return Newest(m.list) }
