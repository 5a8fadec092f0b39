package rows

import (
	"encoding/binary"
	"slices"

	"auditmesh/crdt"
)

var (
	_ crdt.Store = (*Tx)(nil)
	_ crdt.Store = (*Step)(nil)
)

// Put refuses: a Tx that is no Step is read alone.
func (t *Tx) Put(crdt.Op) error { return errReadOnly }

// Line says which line the operation is from that is put next. The line is read
// during that call alone.
func (s *Step) Line(line []byte) { s.line = line }

// Put puts the rows of an operation, or takes them out in a step that undoes. Of
// what is no tag the line is kept, so Line must have said which it is.
func (s *Step) Put(op crdt.Op) error {
	at, err := s.refOf(op.Dot)
	if err != nil {
		return err
	}
	if !crdt.IsTag(op.Body) {
		return s.putLine(op, at, slices.Clone(s.line)) // the row lives until the commit
	}
	task, err := s.Task(op.Task)
	if err != nil {
		return err
	}
	return s.set(keyOf(kindTask, task, classTag, at), encodeTag(op))
}

func (s *Step) refOf(d crdt.Dot) (Ref, error) {
	if d.Log == s.log {
		return Ref{s.number, d.Seq}, nil
	}
	n, err := s.store.giveLogNumber(s.txn, d.Log, &s.met)
	return Ref{n, d.Seq}, err
}

func (s *Step) putLine(op crdt.Op, at Ref, line []byte) error {
	switch b := op.Body.(type) {
	case crdt.Succession:
		return s.set(keyOf(kindSuccession, at), line)
	case crdt.Removal:
		if len(b.Ranges) > 0 {
			return s.putRanges(b, at, line)
		}
	}
	task, err := s.Task(op.Task)
	if err != nil {
		return err
	}
	return s.set(keyOf(kindTask, task, classOther, at), line)
}

const (
	// rangesOfRow is how many ranges one row has.
	rangesOfRow = 100
	rangeLen    = 16 // of its first and end
	// maxRangeRows is how many rows of one removal go with the step's transaction. A
	// line has room for ten thousand ranges, each of another log.
	maxRangeRows = 1000
)

// putRanges puts the rows of the ranges, and the line itself once. Only with the
// line they count, so very many of them may be put before it, and go after it.
func (s *Step) putRanges(b crdt.Removal, at Ref, line []byte) error {
	of := make(map[crdt.Log][]byte) // first and end of each
	for _, r := range b.Ranges {
		of[r.Log] = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(of[r.Log], r.First), r.End)
	}
	rows := make(map[string][]byte)
	for log, pairs := range of {
		n := uint64(0)
		for part := range slices.Chunk(pairs, rangeLen*rangesOfRow) {
			rows[string(keyOf(kindRange, string(log.ID[:]), at, n))] = part
			n++
		}
	}
	switch {
	case len(rows) <= maxRangeRows:
		for key, value := range rows {
			if err := s.set([]byte(key), value); err != nil {
				return err
			}
		}
	case s.undo:
		s.afterwards = append(s.afterwards, rows)
	default:
		if err := s.store.setAll(rows, false); err != nil {
			return err
		}
	}
	return s.set(keyOf(kindRemoval, at), line)
}

// eachRange calls f for each range of a row's value.
func eachRange(value []byte, f func(first, end uint64)) {
	for ; len(value) >= rangeLen; value = value[rangeLen:] {
		f(binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:]))
	}
}

// Operations calls f for each operation on a task.
func (t *Tx) Operations(task crdt.TaskKey, f func(crdt.Op)) error {
	node, ok := t.store.FindNode(task.Node)
	if !ok {
		return nil
	}
	return t.scan(keyOf(kindTask, TaskRef{node, task.Request}), func(key, value []byte) (bool, error) {
		op, err := t.operation(task, key, value)
		if err == nil {
			f(op)
		}
		return true, err
	})
}

// AllOperations calls f for each operation on any task.
func (t *Tx) AllOperations(f func(crdt.Op) error) error {
	for _, node := range t.store.Nodes() {
		err := t.scanApart(keyOf(kindTask, node.Number), func(key, value []byte) error {
			op, err := t.operation(crdt.TaskKey{Node: node.ID, Request: parseTaskRef(key[1:]).Request}, key, value)
			if err != nil {
				return err
			}
			return f(op)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// operation is that of a task's row.
func (t *Tx) operation(task crdt.TaskKey, key, value []byte) (crdt.Op, error) {
	_, class, at := parseTaskRow(key)
	log := t.store.Log(at.Log)
	if class == classTag {
		return decodeTag(log, at.Seq, task.Request, value)
	}
	return decodeLine(log, at.Seq, value)
}

// RemovedRanges are the ranges of a log that removals name. A removal of very many
// has rows here before its line is there.
func (t *Tx) RemovedRanges(log crdt.Log) (list []crdt.RemovedRange, err error) {
	prefix := keyOf(kindRange, string(log.ID[:]))
	err = t.scan(prefix, func(key, value []byte) (bool, error) {
		at := parseRef(key[len(prefix):])
		by, ok := t.store.knownLog(at.Log)
		if !ok || by.Node != log.Node {
			return true, nil // of a step under way, or a log of another node with the same id
		}
		eachRange(value, func(first, end uint64) {
			list = append(list, crdt.RemovedRange{First: first, End: end, By: crdt.Dot{Log: by, Seq: at.Seq}})
		})
		return true, nil
	})
	return list, err
}

// RangeRemoval is the removal by range of a dot, false if none is kept.
func (t *Tx) RangeRemoval(d crdt.Dot) (op crdt.Op, ok bool, err error) {
	n, known := t.store.findLog(d.Log)
	if !known {
		return op, false, nil
	}
	ok, err = t.get(keyOf(kindRemoval, Ref{n, d.Seq}), func(line []byte) error {
		op, err = decodeLine(d.Log, d.Seq, line)
		return err
	})
	return op, ok, err
}

// Successions calls f for each log_succeeded of a log until f returns false.
func (t *Tx) Successions(log crdt.Log, f func(crdt.Op) bool) error {
	n, ok := t.store.findLog(log)
	if !ok {
		return nil
	}
	return t.scan(keyOf(kindSuccession, n), func(key, line []byte) (bool, error) {
		op, err := decodeLine(log, parseRef(key[1:]).Seq, line)
		return err == nil && f(op), err
	})
}
