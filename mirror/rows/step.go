package rows

import (
	"bytes"

	badger "github.com/dgraph-io/badger"

	"auditmesh/crdt"
)

// ErrStepTooBig is returned where a step has more rows than one transaction may
// have. The step is to be discarded, and tried with fewer records.
var ErrStepTooBig = badger.ErrTxnTooBig

// Step writes the rows of some records of one log, all of them or none. It takes
// rows out instead, if it undoes. One Step is open at a time. A crdt.TaskList puts
// operations through it; to see what they show, read a Tx after Commit.
type Step struct {
	*Tx
	log    crdt.Log
	number LogNumber
	undo   bool
	met    newKeys
	line   []byte // of the record whose operation is put
	// afterwards are rows to be taken out once the step is committed.
	afterwards []map[string][]byte
}

// Fold begins a step that puts rows.
func (s *Store) Fold(log crdt.Log) (*Step, error) { return s.step(log, false) }

// Undo begins a step that takes the rows of records out again, as Fold put them.
func (s *Store) Undo(log crdt.Log) (*Step, error) { return s.step(log, true) }

func (s *Store) step(log crdt.Log, undo bool) (*Step, error) {
	st := &Step{Tx: &Tx{store: s, txn: s.ds.DB.NewTransaction(true)}, log: log, undo: undo}
	var err error
	if st.number, err = s.giveLogNumber(st.txn, log, &st.met); err != nil {
		st.Discard()
		return nil, err
	}
	return st, nil
}

// Undoes says whether the step takes rows out.
func (s *Step) Undoes() bool { return s.undo }

// Log is the log whose records the step takes.
func (s *Step) Log() crdt.Log { return s.log }

// Ref is a record of the step's log.
func (s *Step) Ref(seq uint64) Ref { return Ref{s.number, seq} }

// Task is a task in numbers, given out in this step where they are new.
func (s *Step) Task(key crdt.TaskKey) (TaskRef, error) {
	node, err := s.store.giveNodeNumber(s.txn, key.Node, &s.met)
	return TaskRef{node, key.Request}, err
}

// Discard lets go of what was not committed. After Commit it does nothing.
func (s *Step) Discard() {
	s.close()
	s.txn.Discard()
}

// Commit makes the step visible, with the numbers that it gave out, as one: who
// sees the step's rows must find the numbers in them.
func (s *Step) Commit() error {
	s.close()
	if err := s.store.commit(s.txn, s.met); err != nil {
		return err
	}
	for _, rows := range s.afterwards {
		if err := s.store.setAll(rows, true); err != nil {
			return err
		}
	}
	return nil
}

// commit makes the numbers known before the rows that have them, and takes them back
// if it fails. The lock is not held over the commit, which waits for the disk.
func (s *Store) commit(txn *badger.Txn, met newKeys) error {
	s.mu.Lock()
	logs, nodes := len(s.logs.keys), len(s.nodes.keys)
	for _, l := range met.logs {
		s.logs.add(l)
	}
	for _, n := range met.nodes {
		s.nodes.add(n)
	}
	s.mu.Unlock()
	err := s.write(txn.Commit)
	if err != nil {
		s.mu.Lock()
		s.logs.cut(logs)
		s.nodes.cut(nodes)
		s.mu.Unlock()
	}
	return err
}

// setAll puts rows, or takes them out, in as many transactions as that takes.
func (s *Store) setAll(rows map[string][]byte, out bool) error {
	batch := s.ds.DB.NewWriteBatch()
	defer batch.Cancel()
	for key, value := range rows {
		var err error
		if out {
			err = batch.Delete([]byte(key))
		} else {
			err = batch.Set([]byte(key), value)
		}
		if err != nil {
			return err
		}
	}
	return s.write(batch.Flush)
}

// set puts a row, or takes it out in a step that undoes.
func (s *Step) set(key, value []byte) error {
	if s.undo {
		return s.txn.Delete(key)
	}
	return s.txn.Set(key, value)
}

// holds says whether a row is there with that value.
func (s *Step) holds(key, value []byte) (same bool, err error) {
	_, err = s.get(key, func(v []byte) error {
		same = bytes.Equal(v, value)
		return nil
	})
	return same, err
}
