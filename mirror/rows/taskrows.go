package rows

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	badger "github.com/dgraph-io/badger"
)

// TasksOf finds a node's tasks by the beginning of their request ids, in lower-case
// hex. At most limit.
func (t *Tx) TasksOf(node NodeNumber, prefix string, limit int) (refs []TaskRef, err error) {
	low, err := hex.DecodeString(prefix + strings.Repeat("0", 32-len(prefix)))
	if err != nil {
		return nil, err
	}
	it := t.txn.NewIterator(badger.IteratorOptions{Prefix: keyOf(kindTask, node)})
	defer it.Close()
	for it.Seek(keyOf(kindTask, node, string(low))); it.ValidForPrefix(keyOf(kindTask, node)) && len(refs) < limit; {
		r, class, _ := parseTaskRow(it.Item().Key())
		if !strings.HasPrefix(hex.EncodeToString(r.Request[:]), prefix) {
			break
		}
		if class == classTag { // else only reviews are here
			refs = append(refs, r)
		}
		it.Seek(keyOf(kindTask, r, class+1))
	}
	return refs, nil
}

// OpenTask is a task that was started and has no exit, with the greatest time of
// its log when it was started.
type OpenTask struct {
	Bound uint64
	Task  TaskRef
}

// OpenTasks are all of them, in no order; ErrTooMany if they are more than limit.
func (t *Tx) OpenTasks(limit int) (list []OpenTask, err error) {
	err = t.scan([]byte{kindOpen}, func(key, value []byte) (bool, error) {
		if len(list) == limit {
			return false, ErrTooMany
		}
		list = append(list, OpenTask{binary.BigEndian.Uint64(value), parseTaskRef(key[1:])})
		return true, nil
	})
	return list, err
}

// PutOpen says that a task is open since a record.
func (s *Step) PutOpen(task TaskRef, bound uint64, at Ref) error {
	return s.txn.Set(keyOf(kindOpen, task), appendParts(nil, bound, at))
}

// DeleteOpen says that a task is open no more.
func (s *Step) DeleteOpen(task TaskRef) error { return s.txn.Delete(keyOf(kindOpen, task)) }

// DeleteOpenOf is DeleteOpen if the task is open since that very record.
func (s *Step) DeleteOpenOf(task TaskRef, bound uint64, at Ref) error {
	same, err := s.holds(keyOf(kindOpen, task), appendParts(nil, bound, at))
	if err != nil || !same {
		return err
	}
	return s.DeleteOpen(task)
}

// MarkRemoved says of a task that a record removed records of it by its request id;
// or lets go of that, if no later record of the log did.
func (s *Step) MarkRemoved(task TaskRef, at Ref) error {
	key, value := keyOf(kindRemoved, task, at.Log), appendParts(nil, at.Seq)
	if s.undo {
		if same, err := s.holds(key, value); err != nil || !same {
			return err
		}
	}
	return s.set(key, value)
}

// IsMarkedRemoved says whether records of a task were removed in a log by its request id.
func (t *Tx) IsMarkedRemoved(task TaskRef, log LogNumber) (bool, error) {
	return t.get(keyOf(kindRemoved, task, log), func([]byte) error { return nil })
}

// AnyRanges says whether any range is removed, and whether one begins behind the
// first record of its log.
func (t *Tx) AnyRanges() (some, inner bool, err error) {
	err = t.scan([]byte{kindRange}, func(_, value []byte) (bool, error) {
		some = true
		eachRange(value, func(first, _ uint64) { inner = inner || first > 0 })
		return !inner, nil
	})
	return some, inner, err
}
