package crdt_test

import (
	"errors"
	"testing"

	"auditmesh/crdt"
	"auditmesh/crdt/crdttest"
)

// brokenStore fails in one of its methods.
type brokenStore struct {
	crdt.MemoryStore
	in string
}

var errBroken = errors.New("the store is broken")

func (s *brokenStore) fails(in string) error {
	if s.in == in {
		return errBroken
	}
	return nil
}

func (s *brokenStore) Put(op crdt.Op) error {
	return errors.Join(s.fails("Put"), s.MemoryStore.Put(op))
}

func (s *brokenStore) Operations(k crdt.TaskKey, f func(crdt.Op)) error {
	return errors.Join(s.fails("Operations"), s.MemoryStore.Operations(k, f))
}

func (s *brokenStore) AllOperations(f func(crdt.Op) error) error {
	return errors.Join(s.fails("AllOperations"), s.MemoryStore.AllOperations(f))
}

func (s *brokenStore) RemovedRanges(l crdt.Log) ([]crdt.RemovedRange, error) {
	list, err := s.MemoryStore.RemovedRanges(l)
	return list, errors.Join(err, s.fails("RemovedRanges"))
}

func (s *brokenStore) RangeRemoval(d crdt.Dot) (crdt.Op, bool, error) {
	op, ok, err := s.MemoryStore.RangeRemoval(d)
	return op, ok, errors.Join(err, s.fails("RangeRemoval"))
}

func (s *brokenStore) Successions(l crdt.Log, f func(crdt.Op) bool) error {
	return errors.Join(s.fails("Successions"), s.MemoryStore.Successions(l, f))
}

// An error of the store in any method comes out, wherever it was needed.
func TestStoreErrorsComeOut(t *testing.T) {
	for _, in := range []string{"", "Put", "Operations", "AllOperations", "RemovedRanges", "RangeRemoval", "Successions"} {
		store := &brokenStore{}
		list := crdt.NewTaskList(store)
		second := op("A", 1, 6, task("A", 1), crdt.Exit{})
		second.Dot.ID[0] = 2
		for _, o := range []crdt.Op{op("A", 0, 5, task("A", 1), crdt.Request{}), second, op("A", 1, 5, crdt.TaskKey{}, crdt.Removal{Ranges: ranges(logOf("A", 1), 0, 1)})} {
			if err := list.Apply(o); err != nil {
				t.Fatal(err)
			}
		}
		store.in = in
		err := list.Apply(op("A", 2, 7, task("A", 2), crdt.Request{}))
		_, taskErr := list.Task(task("A", 1))
		_, listErr := crdttest.Newest(list)
		if err := errors.Join(err, taskErr, listErr); errors.Is(err, errBroken) != (in != "") {
			t.Errorf("a store broken in %q: %v", in, err)
		}
	}
}

// A list that showed something shows what is put through it afterwards: of what it
// remembers, nothing outlives an operation that changes it.
func TestWhatIsRememberedFollows(t *testing.T) {
	list := crdt.NewTaskList(new(crdt.MemoryStore))
	apply := func(ops ...crdt.Op) {
		t.Helper()
		for _, o := range ops {
			if err := list.Apply(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	one := func() crdt.Item {
		t.Helper()
		items, err := crdttest.Newest(list)
		if err != nil || len(items) != 1 {
			t.Fatal(items, err)
		}
		return items[0]
	}
	late := op("A", 0, 5, task("A", 1), crdt.Request{Argv: []string{"of the lower log"}})
	early := op("A", 1, 6, task("A", 1), crdt.Request{Argv: []string{"of the higher log"}})
	early.Dot.ID[0] = 2
	apply(late, early)
	if it := one(); it.Argv[0] != "of the lower log" {
		t.Fatalf("%+v", it)
	}
	apply(op("A", 9, 9, crdt.TaskKey{}, crdt.Succession{Old: early.Dot.Log}))
	if it := one(); it.Argv[0] != "of the higher log" {
		t.Errorf("the lower log goes on from the higher one now: %+v", it)
	}
	apply(op("A", 10, 9, crdt.TaskKey{}, crdt.Removal{Ranges: ranges(early.Dot.Log, 1, 2)}))
	if it := one(); it.Argv[0] != "of the lower log" || len(it.Removals) != 1 {
		t.Errorf("the higher log's record is removed now: %+v", it)
	}
}

// Who is not allowed an operation changes nothing in the store.
func TestRefusedOperationsAreNotPut(t *testing.T) {
	store := &brokenStore{in: "Put"}
	list := crdt.NewTaskList(store)
	for _, b := range []crdt.Body{
		crdt.Request{}, crdt.Started{}, crdt.Warning{}, crdt.Exit{}, crdt.Denial{}, crdt.Application{}, crdt.Removal{},
		crdt.Removal{Ranges: ranges(logOf("A", 1), 0, 9)}, crdt.Succession{Old: logOf("A", 1)}, crdt.Succession{Old: logOf("B", 1)},
	} {
		if err := list.Apply(op("B", 0, 1, task("A", 1), b)); err != nil {
			t.Errorf("%T was put", b)
		}
	}
	if err := list.Apply(op("B", 0, 1, task("A", 1), crdt.Review{})); !errors.Is(err, errBroken) {
		t.Errorf("a review of another node's task was not put: %v", err)
	}
}
