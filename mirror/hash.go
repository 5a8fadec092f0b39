package mirror

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	badger "github.com/dgraph-io/badger"
	"github.com/go-json-experiment/json"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/crdt"
)

// LogStatus is how far one log is held and folded.
type LogStatus struct {
	Name       merkle.LogName
	First      uint64
	Size       uint64 // durable here
	Signed     uint64 // of which a checkpoint is kept
	Folded     uint64
	Unreadable uint64 // of the folded records
	Unknown    uint64
	LastTime   uint64    // of the last folded record, by its node's clock
	Most       uint64    // the greatest time of the folded records
	Received   time.Time // when the last record was folded; zero if not since Open
}

// Status is one state of the view with the vector that it is the fold of.
type Status struct {
	Logs     []LogStatus
	Digest   merkle.Hash // of the folded sizes
	Holdings merkle.Hash
}

// Status is the state of the view. Its digests are of what is folded. It waits
// for no step of the fold, no commit and no rebuild.
func (m *Mirror) Status() (Status, error) {
	of, at := m.reached.all()
	return m.status(func(l holdings.Log) (cursor, error) {
		if c, ok := of[holdings.NameOf(l)]; ok {
			return c, nil
		}
		return beginOf(l), nil
	}, at)
}

func (m *Mirror) status(cursorOf func(holdings.Log) (cursor, error), at map[merkle.LogName]time.Time) (st Status, err error) {
	var states []merkle.LogState
	for _, l := range m.holdings.Logs() {
		name := holdings.NameOf(l)
		c, err := cursorOf(l)
		if err != nil {
			return st, err
		}
		st.Logs = append(st.Logs, LogStatus{name, c.First, l.Size(), l.SignedSize(), c.Size, c.Unreadable, c.Unknown, c.LastTime, c.Most, at[name]})
		root, err := l.RootAt(c.Size)
		if err != nil {
			return st, err
		}
		states = append(states, merkle.LogState{Name: name, First: c.First, Size: c.Size, Root: root})
	}
	st.Digest, st.Holdings = merkle.Digests(states)
	return st, nil
}

// Deep is the status with the hash of the view and the number of its tasks, all
// of one state. It goes through the whole view, until ctx ends.
func (m *Mirror) Deep(ctx context.Context) (st Status, viewHash merkle.Hash, tasks uint64, err error) {
	err = m.read(func(s *store, txn *badger.Txn) error {
		_, at := m.reached.all()
		if st, err = m.status(func(l holdings.Log) (cursor, error) { return s.cursorOf(txn, l) }, at); err != nil {
			return err
		}
		e := newEnv(s, txn)
		defer e.close()
		viewHash, tasks, err = e.viewHash(ctx)
		return err
	})
	return st, viewHash, tasks, err
}

// viewHash is SHA-256 over a line that names the fold's version, and the JSON of
// each task in the order of node and request id, a line each (docs/formats.md).
func (e *env) viewHash(ctx context.Context) (merkle.Hash, uint64, error) {
	h := sha256.New()
	fmt.Fprintf(h, "auditmesh view v%s\n", crdt.FoldVersion)
	tasks := uint64(0)
	for _, node := range e.s.allNodes() {
		if err := e.eachTask(node, func(task *crdt.Task) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			tasks++
			return writeItem(h, task.Item(e))
		}); err != nil {
			return merkle.Hash{}, 0, err
		}
	}
	return merkle.Hash(h.Sum(nil)), tasks, e.fail
}

// eachTask calls f for each task of a node that has a tag, by request id.
func (e *env) eachTask(node numberedNode, f func(*crdt.Task) error) error {
	var task *crdt.Task // of the rows so far
	done := func() error {
		if task == nil || !task.Exists() { // review of a task that is not here
			return nil
		}
		return f(task)
	}
	err := scan(e.txn, keyOf(rowTask, node.num), func(key, value []byte) error {
		t, _, _ := parseTaskRow(key)
		if task == nil || task.Key.Request != t.request {
			if err := done(); err != nil {
				return err
			}
			task = crdt.NewTask(crdt.TaskKey{Node: node.id, Request: t.request})
		}
		return e.s.apply(task, key, value)
	})
	if err != nil {
		return err
	}
	return done()
}

func writeItem(w io.Writer, it crdt.Item) error {
	raw, err := json.Marshal(it, json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = w.Write(append(raw, '\n'))
	return err
}
