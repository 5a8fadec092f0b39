package mirror

import (
	badger "github.com/dgraph-io/badger"

	"auditmesh/crdt"
)

// env answers what an item depends on beside its task's own rows, from one
// transaction, so that an item, and a view hash, are of one state of the view.
// It implements crdt.Env.
type env struct {
	s    *store
	txn  *badger.Txn
	old  map[crdt.Log]crdt.Log // successions that were looked up; zero: none
	fail error                 // the first error; whoever uses an env checks it
}

func newEnv(s *store, txn *badger.Txn) *env {
	return &env{s: s, txn: txn, old: make(map[crdt.Log]crdt.Log)}
}

func (e *env) failed(err error) {
	if e.fail == nil {
		e.fail = err
	}
}

// Rank is how many logs of its node precede a log.
func (e *env) Rank(l crdt.Log) int {
	return crdt.RankBy(l, func(l crdt.Log) (crdt.Log, bool) {
		old, ok := e.old[l]
		if !ok {
			old = e.succession(l)
			e.old[l] = old
		}
		return old, old != crdt.Log{}
	})
}

// succession is what the first log_succeeded of a log that may say so says.
func (e *env) succession(l crdt.Log) (old crdt.Log) {
	n, ok := e.s.findLog(l)
	if !ok {
		return old
	}
	err := scan(e.txn, keyOf(rowSuccession, n), func(key, line []byte) error {
		op, err := decodeOp(l, parseRef(key[1:]).seq, line)
		if err != nil {
			return err
		}
		if o := op.Body.(crdt.Succession).Old; old == (crdt.Log{}) && o != l {
			old = o
		}
		return nil
	})
	if err != nil {
		e.failed(err)
	}
	return old
}

// RangeRemovals are the removals of ranges that cover a dot.
func (e *env) RangeRemovals(d crdt.Dot) (list []crdt.Op) {
	n, ok := e.s.findLog(d.Log)
	if !ok {
		return nil
	}
	prefix := keyOf(rowRange, n)
	it := e.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		key := it.Item().Key()
		if first := parseRef(key[1:]).seq; first > d.Seq {
			break
		}
		at := parseRef(key[1+refLen:])
		var op crdt.Op
		err := it.Item().Value(func(line []byte) (err error) {
			op, err = decodeOp(e.s.logByNumber(at.log), at.seq, line)
			return err
		})
		if err != nil {
			e.failed(err)
			return nil
		}
		if crdt.RemovesByRange(op, d) && !containsDot(list, op.Dot) {
			list = append(list, op)
		}
	}
	return list
}

func containsDot(list []crdt.Op, d crdt.Dot) bool {
	for _, op := range list {
		if op.Dot == d {
			return true
		}
	}
	return false
}

// task reads a task's rows.
func (e *env) task(t taskRef, node string) (*crdt.Task, error) {
	task := crdt.NewTask(crdt.TaskKey{Node: node, Request: t.request})
	for _, kind := range []byte{rowTag, rowTaskOp} {
		prefix := keyOf(kind, t)
		err := scan(e.txn, prefix, func(key, line []byte) error {
			at := parseRef(key[1+taskRefLen:])
			op, err := decodeOp(e.s.logByNumber(at.log), at.seq, line)
			if err == nil {
				task.Apply(op)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return task, e.fail
}
