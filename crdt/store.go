package crdt

// Store keeps the operations that a replica has seen. It keeps them and finds
// them again; what they mean is decided by [TaskList] alone. A store need not be
// safe for concurrent use.
type Store interface {
	// Put keeps an operation that TaskList allowed. A dot has one operation for ever,
	// so putting it again changes nothing.
	Put(op Op) error
	// Operations calls f for each operation on a task, in any order. f does not use
	// the store.
	Operations(task TaskKey, f func(Op)) error
	// AllOperations calls f for each operation on any task until f fails. Those of
	// one task come together; tasks come in the order of (node, request id). f may
	// read the store.
	AllOperations(f func(Op) error) error
	// RemovedRanges are the ranges of a log that removals by range name, in any
	// order. A store that needs several steps to keep a removal may already have
	// ranges of one that RangeRemoval does not find yet: they do not count until then.
	RemovedRanges(log Log) ([]RemovedRange, error)
	// RangeRemoval is the removal by range of a dot, false if none is kept.
	RangeRemoval(d Dot) (Op, bool, error)
	// Successions calls f for each Succession that a log states, lowest seq first,
	// until f returns false. f does not use the store.
	Successions(log Log, f func(Op) bool) error
}

// RemovedRange is the half-open range [First, End) of a log that a removal names.
type RemovedRange struct {
	First, End uint64
	By         Dot // the removal
}
