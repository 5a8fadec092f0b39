package crdt

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
)

// MemoryStore is a [Store] in memory. The zero value is empty. It is not safe for
// concurrent use.
type MemoryStore struct {
	tasks       map[TaskKey]map[Dot]Op
	removals    map[Dot]Op // by range
	ranges      map[Log][]RemovedRange
	successions map[Log][]Op // lowest seq first
}

var _ Store = (*MemoryStore)(nil)

// Put keeps an operation. It returns no error.
func (s *MemoryStore) Put(op Op) error {
	switch b := op.Body.(type) {
	case Succession:
		s.putSuccession(op)
		return nil
	case Removal:
		if len(b.Ranges) > 0 {
			s.putRangeRemoval(op, b)
			return nil
		}
	}
	if s.tasks == nil {
		s.tasks = make(map[TaskKey]map[Dot]Op)
	}
	if s.tasks[op.Task] == nil {
		s.tasks[op.Task] = make(map[Dot]Op)
	}
	s.tasks[op.Task][op.Dot] = op
	return nil
}

func (s *MemoryStore) putSuccession(op Op) {
	if s.successions == nil {
		s.successions = make(map[Log][]Op)
	}
	list := s.successions[op.Dot.Log]
	i, known := slices.BinarySearchFunc(list, op.Dot.Seq, func(op Op, seq uint64) int { return cmp.Compare(op.Dot.Seq, seq) })
	if !known {
		s.successions[op.Dot.Log] = slices.Insert(list, i, op)
	}
}

func (s *MemoryStore) putRangeRemoval(op Op, b Removal) {
	if s.removals == nil {
		s.removals, s.ranges = make(map[Dot]Op), make(map[Log][]RemovedRange)
	}
	if _, known := s.removals[op.Dot]; known {
		return
	}
	s.removals[op.Dot] = op
	for _, r := range b.Ranges {
		s.ranges[r.Log] = append(s.ranges[r.Log], RemovedRange{r.First, r.End, op.Dot})
	}
}

// Operations calls f for each operation on a task.
func (s *MemoryStore) Operations(task TaskKey, f func(Op)) error {
	for _, op := range s.tasks[task] {
		f(op)
	}
	return nil
}

// AllOperations calls f for each operation on any task.
func (s *MemoryStore) AllOperations(f func(Op) error) error {
	for _, key := range slices.SortedFunc(maps.Keys(s.tasks), TaskKey.compare) {
		for _, op := range s.tasks[key] {
			if err := f(op); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k TaskKey) compare(other TaskKey) int {
	if c := strings.Compare(k.Node, other.Node); c != 0 {
		return c
	}
	return bytes.Compare(k.Request[:], other.Request[:])
}

// RemovedRanges are the ranges of a log that removals name.
func (s *MemoryStore) RemovedRanges(log Log) ([]RemovedRange, error) { return s.ranges[log], nil }

// RangeRemoval is the removal by range of a dot.
func (s *MemoryStore) RangeRemoval(d Dot) (Op, bool, error) {
	op, ok := s.removals[d]
	return op, ok, nil
}

// Successions calls f for each Succession that a log states, until f returns false.
func (s *MemoryStore) Successions(log Log, f func(Op) bool) error {
	for _, op := range s.successions[log] {
		if !f(op) {
			break
		}
	}
	return nil
}
