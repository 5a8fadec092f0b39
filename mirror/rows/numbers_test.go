package rows

import (
	"errors"
	"testing"

	badger "github.com/dgraph-io/badger"

	"auditmesh/crdt"
)

// Numbers are there for whoever reads a step's rows, and gone if its commit fails.
// What was committed is read when the database is opened again.
func TestCommitGivesNumbers(t *testing.T) {
	dir := t.TempDir() + "/view"
	s, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := crdt.Log{Node: testNode}
	for _, fails := range []bool{true, false} {
		step, err := s.Fold(log)
		if err != nil {
			t.Fatal(err)
		}
		defer step.Discard()
		task, err := step.Task(crdt.TaskKey{Node: log.Node})
		if err != nil {
			t.Fatal(err)
		}
		if fails { // what it read was written by another meanwhile
			if _, err := step.txn.Get([]byte{kindSchema}); err != nil {
				t.Fatal(err)
			}
			if err := s.ds.DB.Update(func(other *badger.Txn) error { return other.Set([]byte{kindSchema}, []byte(schemaVersion)) }); err != nil {
				t.Fatal(err)
			}
		}
		if err := step.Commit(); fails != errors.Is(err, badger.ErrConflict) {
			t.Fatal(err)
		}
		got, ok := s.findLog(log)
		node, known := s.FindNode(log.Node)
		if ok == fails || known == fails || !fails && (got != step.number || node != task.Node || s.NodeID(node) != log.Node || s.Log(got) != log) {
			t.Errorf("failed %v: log %d %v, node %d %v", fails, got, ok, node, known)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = tryOpen(dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, ok := s.findLog(log); !ok {
		t.Error("the number is not in the database")
	}
}
