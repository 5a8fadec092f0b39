package mirror

import (
	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
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
	LastTime   uint64
}

// Status is one state of the view with the vector that it is the fold of.
type Status struct {
	Logs     []LogStatus
	Digest   merkle.Hash // of the folded sizes
	Holdings merkle.Hash
}

// Status is the state of the view. Its digests are of what is folded.
func (m *Mirror) Status() (st Status, err error) {
	err = m.read(func(s *snapshot) error {
		st, err = m.status(s)
		return err
	})
	return st, err
}

func (m *Mirror) status(s *snapshot) (st Status, err error) {
	var states []merkle.LogState
	for _, l := range m.holdings.Logs() {
		name := holdings.NameOf(l)
		c, err := cursorOf(s.tx, l)
		if err != nil {
			return st, err
		}
		st.Logs = append(st.Logs, LogStatus{name, c.First, l.Size(), l.SignedSize(), c.Size, c.Unreadable, c.Unknown, c.LastTime})
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
// of one state. It goes through the whole view.
func (m *Mirror) Deep() (st Status, viewHash merkle.Hash, tasks uint64, err error) {
	err = m.read(func(s *snapshot) error {
		if st, err = m.status(s); err != nil {
			return err
		}
		viewHash, tasks, err = hashOf(s.list)
		return err
	})
	return st, viewHash, tasks, err
}
