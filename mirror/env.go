package mirror

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"

	badger "github.com/dgraph-io/badger"

	"auditmesh/crdt"
)

// env answers what an item depends on beside its task's own rows, from one
// transaction, so that an item, and a view hash, are of one state of the view.
// It implements crdt.Env.
type env struct {
	s   *store
	txn *badger.Txn
	old map[crdt.Log]crdt.Log // successions that were looked up; zero: none
	// Looked up once: of each log the ranges that are removed of it, and removals.
	ranges   map[crdt.Log][]rangeRow
	removals map[ref]crdt.Op
	first    map[logNumber]uint64 // of each log the first record that is folded
	fail     error                // the first error; whoever uses an env checks it
	it       *badger.Iterator     // used for one scan after the other: to make one costs much more than to seek
}

func newEnv(s *store, txn *badger.Txn) *env {
	return &env{s: s, txn: txn, old: make(map[crdt.Log]crdt.Log), ranges: make(map[crdt.Log][]rangeRow), removals: make(map[ref]crdt.Op), first: make(map[logNumber]uint64)}
}

// close frees the iterator. It comes before the transaction ends.
func (e *env) close() {
	if e.it != nil {
		e.it.Close()
	}
}

// scan calls f for each row whose key has the prefix, in order, until f returns
// false or an error. key and value are valid during the call, in which no other
// scan may begin.
func (e *env) scan(prefix []byte, f func(key, value []byte) (bool, error)) error {
	if e.it == nil {
		e.it = e.txn.NewIterator(badger.IteratorOptions{})
	}
	more := true
	for e.it.Seek(prefix); more && e.it.ValidForPrefix(prefix); e.it.Next() {
		item := e.it.Item()
		err := item.Value(func(v []byte) (err error) {
			more, err = f(item.Key(), v)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
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
	err := e.scan(keyOf(rowSuccession, n), func(key, line []byte) (bool, error) {
		op, err := decodeOp(l, parseRef(key[1:]).seq, line)
		if err != nil {
			return false, err
		}
		if o := op.Body.(crdt.Succession).Old; o != l {
			old = o
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		e.failed(err)
	}
	return old
}

// rangeRow is one range of a removal.
type rangeRow struct {
	first, end uint64
	reach      uint64 // the greatest end of it and all before it
	at         ref    // the removal
}

// rangesOf are the ranges that are removed of a log, by their first record.
func (e *env) rangesOf(l crdt.Log) []rangeRow {
	list, ok := e.ranges[l]
	if ok {
		return list
	}
	err := e.scan(keyOf(rowRange, string(l.ID[:])), func(key, value []byte) (bool, error) {
		at := parseRef(key[1+len(l.ID):])
		for ; len(value) >= 16; value = value[16:] {
			list = append(list, rangeRow{first: binary.BigEndian.Uint64(value), end: binary.BigEndian.Uint64(value[8:]), at: at})
		}
		return true, nil
	})
	if err != nil {
		e.failed(err)
	}
	slices.SortFunc(list, func(a, b rangeRow) int { return cmp.Compare(a.first, b.first) })
	reach := uint64(0)
	for i := range list {
		reach = max(reach, list[i].end)
		list[i].reach = reach
	}
	e.ranges[l] = list
	return list
}

// isInRange says whether a range that is removed has a dot in it.
func (e *env) isInRange(d crdt.Dot) bool {
	rows := e.rangesOf(d.Log)
	i := sort.Search(len(rows), func(i int) bool { return rows[i].first > d.Seq }) - 1
	return i >= 0 && rows[i].reach > d.Seq
}

// RangeRemovals are the removals of ranges that cover a dot.
func (e *env) RangeRemovals(d crdt.Dot) (list []crdt.Op) {
	rows := e.rangesOf(d.Log)
	seen := make(map[ref]bool)
	i := sort.Search(len(rows), func(i int) bool { return rows[i].first > d.Seq }) - 1
	for ; i >= 0 && rows[i].reach > d.Seq; i-- {
		at := rows[i].at
		if rows[i].end <= d.Seq || seen[at] {
			continue
		}
		seen[at] = true
		op, err := e.removal(at)
		if err != nil {
			e.failed(err)
			return list
		}
		if crdt.RemovesByRange(op, d) {
			list = append(list, op)
		}
	}
	return list
}

// removal is a removal of ranges.
func (e *env) removal(at ref) (op crdt.Op, err error) {
	if op, ok := e.removals[at]; ok {
		return op, nil
	}
	err = e.scan(keyOf(rowRemoval, at), func(_, line []byte) (bool, error) {
		op, err = decodeOp(e.s.logByNumber(at.log), at.seq, line)
		return false, err
	})
	if len(e.removals) < maxRemovals {
		e.removals[at] = op
	}
	return op, err
}

// maxRemovals bounds the removals that one question keeps: a line of one may be
// 1 MiB, and what removed one task mostly removed the next.
const maxRemovals = 64

// task reads a task's rows.
func (e *env) task(t taskRef, node string) (*crdt.Task, error) {
	task := crdt.NewTask(crdt.TaskKey{Node: node, Request: t.request})
	err := e.scan(keyOf(rowTask, t), func(key, value []byte) (bool, error) { return true, e.s.apply(task, key, value) })
	if err != nil {
		return nil, err
	}
	return task, e.fail
}
