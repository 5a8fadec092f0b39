package mirror

import (
	"context"
	"time"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/mirror/rows"
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
	return m.status(func(l holdings.Log) (rows.Cursor, error) {
		if c, ok := of[holdings.NameOf(l)]; ok {
			return c, nil
		}
		return beginOf(l), nil
	}, at)
}

func (m *Mirror) status(cursorOf func(holdings.Log) (rows.Cursor, error), at map[merkle.LogName]time.Time) (st Status, err error) {
	var states []merkle.LogState
	for _, l := range m.holdings.Logs() {
		name := holdings.NameOf(l)
		c, err := cursorOf(l)
		if err != nil {
			return st, err
		}
		if c.Size < l.First() { // retention did not wait for a view that could not be used
			c = beginOf(l)
		}
		st.Logs = append(st.Logs, LogStatus{name, c.First, l.Size(), l.SignedSize(), c.Size, c.Unreadable, c.Unknown, c.LastTime, c.Greatest, at[name]})
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
	err = m.read(func(s *snapshot) error {
		_, at := m.reached.all()
		if st, err = m.status(func(l holdings.Log) (rows.Cursor, error) { return cursorOf(s.tx, l) }, at); err != nil {
			return err
		}
		viewHash, tasks, err = hashOf(ctx, s.list)
		return err
	})
	return st, viewHash, tasks, err
}
