package rows

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync/atomic"
	"syscall"
	"testing"

	badger "github.com/dgraph-io/badger"
	"pgregory.net/rapid"

	"auditmesh/audit/event"
	"auditmesh/crdt"
	"auditmesh/crdt/crdttest"
)

// eventOf is the event whose record an operation is, nil if no line says it: what
// is about another node's ranges.
func eventOf(op crdt.Op) event.Event {
	id, ts := event.RequestID(op.Task.Request), op.Time
	switch b := op.Body.(type) {
	case crdt.Removal:
		e := &event.TaskRemoved{TSUnixMS: ts, Reason: b.Reason}
		for _, r := range b.Ranges {
			if r.Log.Node != op.Dot.Node {
				return nil
			}
			e.Ranges = append(e.Ranges, event.SeqRange{Log: r.Log.ID, First: r.First, End: r.End})
		}
		if len(b.Ranges) == 0 {
			e.RequestID = &id
		}
		return e
	case crdt.Review:
		return &event.Reviewed{Completed: b.Completed, TSUnixMS: ts, Node: op.Task.Node, RequestID: id, By: b.By}
	case crdt.Release:
		return &event.TaskReleased{TSUnixMS: ts, Node: op.Task.Node, RequestID: id, By: b.By, Replaces: dotsOf(b.Replaces)}
	case crdt.Note:
		return &event.TaskNoted{TSUnixMS: ts, Node: op.Task.Node, RequestID: id, By: b.By, Field: b.Field, Value: b.Value, Replaces: dotsOf(b.Replaces)}
	case crdt.Succession:
		return &event.LogSucceeded{TSUnixMS: ts, Log: b.Old.ID, Reason: "of a test"}
	default:
		return nil
	}
}

func dotsOf(list []crdt.Dot) []event.Dot {
	out := []event.Dot{}
	for _, d := range list {
		out = append(out, event.Dot{Node: d.Node, Log: d.ID, Seq: d.Seq})
	}
	return out
}

// apply takes operations of one log through a step: all of them, or none.
func apply(step *Step, err error, ops []crdt.Op, commit bool) error {
	if err != nil {
		return err
	}
	defer step.Discard()
	list := crdt.NewTaskList(step)
	for _, op := range ops {
		var line []byte
		if e := eventOf(op); e != nil {
			if line, err = event.AppendLine(nil, e); err != nil {
				return err
			}
			line = line[:len(line)-1]
		}
		step.Line(line)
		if err := list.Apply(op); err != nil {
			return fmt.Errorf("%+v: %w", op, err)
		}
	}
	if !commit {
		return nil
	}
	return step.Commit()
}

// onDisk is a view over the rows, beside one in memory that takes the same.
type onDisk struct {
	store  *Store
	memory *crdttest.Memory
}

func (v *onDisk) Fold(ops []crdt.Op, crash bool) error {
	for len(ops) > 0 { // a step is of one log; of several only what is put back
		n := 1
		for n < len(ops) && ops[n].Dot.Log == ops[0].Dot.Log {
			n++
		}
		step, err := v.store.Fold(ops[0].Dot.Log)
		if err := apply(step, err, ops[:n], !crash); err != nil {
			return err
		}
		if err := v.memory.Fold(ops[:n], crash); err != nil {
			return err
		}
		ops = ops[n:]
	}
	return nil
}

// Read calls f with the list over the rows, after comparing it with that in memory.
func (v *onDisk) Read(f func(*crdt.TaskList) error) error {
	return v.store.View(func(tx *Tx) error {
		list := crdt.NewTaskList(tx)
		got, err := crdttest.Newest(list)
		if err != nil {
			return err
		}
		want, err := v.memory.Newest()
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("the rows show\n%+v\nthe store in memory\n%+v", got, want)
		}
		return f(list)
	})
}

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := New(t.TempDir() + "/view")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// spare are stores that schedules used, to be emptied and used again: to make one
// takes longer than a schedule.
type spare struct {
	t    *testing.T
	free []*Store
	used []*Store
}

func (p *spare) take() *Store {
	if len(p.free) == 0 {
		p.free = append(p.free, newStore(p.t))
	}
	s := p.free[0]
	p.free, p.used = p.free[1:], append(p.used, s)
	return s
}

// giveBack empties the stores that were taken.
func (p *spare) giveBack() {
	for _, s := range p.used {
		if err := s.clear(); err != nil {
			p.t.Fatal(err)
		}
	}
	p.free, p.used = append(p.free, p.used...), nil
}

// clear takes all rows and numbers out of a store.
func (s *Store) clear() error {
	out := make(map[string][]byte)
	err := s.View(func(tx *Tx) error {
		return tx.scan(nil, func(key, _ []byte) (bool, error) {
			if key[0] != kindSchema {
				out[string(key)] = nil
			}
			return true, nil
		})
	})
	if err != nil {
		return err
	}
	s.logs, s.nodes = newNumbers[crdt.Log](), newNumbers[string]()
	return s.setAll(out, true)
}

// The schedules that package crdt runs over its store in memory, over the rows: after
// every step the list over the rows shows what the list in memory does, and what
// the naive model makes of the same records.
func TestSchedules(t *testing.T) {
	stores := &spare{t: t}
	rapid.Check(t, func(rt *rapid.T) {
		defer stores.giveBack()
		crdttest.Schedule(rt, func() crdttest.View { return &onDisk{stores.take(), crdttest.NewMemory()} })
	})
}

// Undoing takes out what the same operations put, to the last row, and leaves what
// others put.
func TestUndo(t *testing.T) {
	stores := &spare{t: t}
	rapid.Check(t, func(rt *rapid.T) {
		defer stores.giveBack()
		all := crdttest.DrawOps(rt)
		logs := make(map[crdt.Log][]crdt.Op)
		for _, op := range all {
			logs[op.Dot.Log] = append(logs[op.Dot.Log], op)
		}
		view := &onDisk{stores.take(), crdttest.NewMemory()}
		for _, ops := range logs {
			if err := view.Fold(ops, false); err != nil {
				rt.Fatal(err)
			}
		}
		var kept []crdt.Op
		for log, ops := range logs {
			if !rapid.Bool().Draw(rt, "undone") {
				kept = append(kept, ops...)
				continue
			}
			step, err := view.store.Undo(log)
			if err := apply(step, err, ops, true); err != nil {
				rt.Fatal(err)
			}
		}
		memory, err := crdttest.MemoryOf(kept...)
		if err != nil {
			rt.Fatal(err)
		}
		view.memory = memory
		if err := view.Read(crdttest.Model(kept).Check); err != nil {
			rt.Fatal(err)
		}
		fresh := &onDisk{stores.take(), crdttest.NewMemory()}
		if err := fresh.Fold(kept, false); err != nil {
			rt.Fatal(err)
		}
		if got, want := operationRows(rt, view.store), operationRows(rt, fresh.store); !reflect.DeepEqual(got, want) {
			rt.Fatalf("rows of operations are left: %v, want %v", got, want)
		}
	})
}

// operationRows counts the rows of each kind, without those of numbers.
func operationRows(t *rapid.T, s *Store) (n map[byte]int) {
	if err := s.View(func(tx *Tx) (err error) {
		n, err = tx.Count()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	delete(n, kindLog)
	delete(n, kindNode)
	return n
}

// What a step did not commit is not there, its numbers included, and a Tx refuses
// to be written.
func TestDiscardedStep(t *testing.T) {
	s := newStore(t)
	log := crdt.Log{Node: testNode, ID: [32]byte{1}}
	task := crdt.TaskKey{Node: testNode, Request: [16]byte{1}}
	op := crdt.Op{Dot: crdt.Dot{Log: log}, Time: 5, Task: task, Body: crdt.Request{}}
	for _, commit := range []bool{false, true} {
		step, err := s.Fold(log)
		if err := apply(step, err, []crdt.Op{op}, commit); err != nil {
			t.Fatal(err)
		}
		if err := s.View(func(tx *Tx) error {
			if err := tx.Put(op); err == nil {
				t.Error("a transaction that reads was written to")
			}
			got, err := crdt.NewTaskList(tx).Task(task)
			if err == nil && (got.Exists() != commit || len(s.Nodes()) != map[bool]int{true: 1}[commit]) {
				t.Errorf("committed %v: the task is there: %v; nodes: %v", commit, got.Exists(), s.Nodes())
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// Two nodes' logs may have one id. A removal of ranges is of its own node's log.
func TestRangesOfLogsWithOneID(t *testing.T) {
	s := newStore(t)
	other := "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq"
	for _, node := range []string{testNode, other} {
		log := crdt.Log{Node: node, ID: [32]byte{1}}
		ops := []crdt.Op{{Dot: crdt.Dot{Log: log}, Time: 5, Task: crdt.TaskKey{Node: node}, Body: crdt.Request{}}}
		if node == testNode {
			ops = append(ops, crdt.Op{Dot: crdt.Dot{Log: log, Seq: 1}, Time: 6, Body: crdt.Removal{Ranges: []crdt.Range{{Log: log, First: 0, End: 1}}}})
		}
		step, err := s.Fold(log)
		if err := apply(step, err, ops, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.View(func(tx *Tx) error {
		list := crdt.NewTaskList(tx)
		for _, node := range []string{testNode, other} {
			if got := list.InRemovedRange(crdt.Dot{Log: crdt.Log{Node: node, ID: [32]byte{1}}}); got != (node == testNode) {
				t.Errorf("of %s: removed %v", node, got)
			}
		}
		return list.Err()
	}); err != nil {
		t.Fatal(err)
	}
}

// A database is thrown away for what is wrong with it, not for what is wrong with
// the machine.
func TestOnlyDamageIsThrownAway(t *testing.T) {
	for err, of := range map[error]bool{
		syscall.ENOSPC: true, &os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}: true,
		errors.New("Unable to write to value log file: no space left on device"): true,
		errors.New("open /x: too many open files"):                               true,
		errSchema:                                false,
		errors.New("checksum mismatch"):          false,
		errors.New("manifest has bad magic"):     false,
		fmt.Errorf("wrapped: %w", syscall.EIO):   true,
		fmt.Errorf("wrapped: %w", syscall.EBADF): false,
	} {
		if got := ofMachine(err); got != of {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// A database of which a write failed says so; one that was too large for a
// transaction, or in conflict, did not.
func TestBrokenAfterAWriteThatFailed(t *testing.T) {
	for err, broken := range map[error]bool{
		nil: false, badger.ErrTxnTooBig: false, badger.ErrConflict: false, fmt.Errorf("write: %w", syscall.ENOSPC): true,
	} {
		var writing atomic.Int64
		s := &Store{writing: &writing}
		got := s.write(func() error {
			if writing.Load() == 0 {
				t.Error("nobody can tell that a write is under way")
			}
			return err
		})
		if !errors.Is(got, err) || s.Broken() != broken || writing.Load() != 0 {
			t.Errorf("%v: returned %v, broken %v, %d", err, got, s.Broken(), writing.Load())
		}
	}
}
