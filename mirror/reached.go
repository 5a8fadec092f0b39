package mirror

import (
	"errors"
	"maps"
	"sync"
	"time"

	badger "github.com/dgraph-io/badger"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/crdt"
)

// reached is how far each log is folded, as the last step left it: the cursors
// once more, in memory. Reading a row waits for a commit that is under way, and
// for the disk beneath it; whoever asks how the node is must not.
type reached struct {
	mu sync.Mutex
	of map[merkle.LogName]cursor    // guarded by mu
	at map[merkle.LogName]time.Time // guarded by mu: when the last record was folded, since Open
}

func newReached() *reached {
	return &reached{of: make(map[merkle.LogName]cursor), at: make(map[merkle.LogName]time.Time)}
}

// set takes in what a step left. It is called after the step's commit, by the
// only writer.
func (r *reached) set(name merkle.LogName, c cursor, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Size > r.of[name].Size {
		r.at[name] = now
	}
	r.of[name] = c
}

// reset takes in the cursors of a store that was just opened. One that is damaged
// is left out: the fold meets it too, and rebuilds the view.
func (r *reached) reset(s *store) error {
	of := make(map[merkle.LogName]cursor)
	err := s.ds.DB.View(func(txn *badger.Txn) error {
		s.mu.RLock()
		logs := append([]crdt.Log(nil), s.logs.keys...)
		s.mu.RUnlock()
		for n, l := range logs {
			item, err := txn.Get(keyOf(rowCursor, logNumber(n)))
			if errors.Is(err, badger.ErrKeyNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if err := item.Value(func(raw []byte) error {
				if c, err := parseCursor(raw); err == nil {
					of[nameOfLog(l)] = c
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of = of
	return err
}

// all is one state of the view: the cursors of all logs after one step.
func (r *reached) all() (of map[merkle.LogName]cursor, at map[merkle.LogName]time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.of), maps.Clone(r.at)
}

// beginOf is the cursor of a log of which nothing is folded.
func beginOf(l holdings.Log) cursor { return cursor{First: l.First(), Size: l.First()} }
