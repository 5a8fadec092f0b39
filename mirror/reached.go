package mirror

import (
	"maps"
	"sync"
	"time"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/mirror/rows"
)

// reached is how far each log is folded, as the last step left it: the cursors
// once more, in memory. Reading a row waits for a commit that is under way, and
// for the disk beneath it; whoever asks how the node is must not.
type reached struct {
	mu sync.Mutex
	of map[merkle.LogName]rows.Cursor // guarded by mu
	at map[merkle.LogName]time.Time   // guarded by mu: when the last record was folded, since Open
}

func newReached() *reached {
	return &reached{of: make(map[merkle.LogName]rows.Cursor), at: make(map[merkle.LogName]time.Time)}
}

// set takes in what a step left. It is called after the step's commit, by the
// only writer.
func (r *reached) set(name merkle.LogName, c rows.Cursor, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Size > r.of[name].Size {
		r.at[name] = now
	}
	r.of[name] = c
}

// reset takes in the cursors of a store that was just opened. One that is damaged
// is left out: the fold meets it too, and rebuilds the view.
func (r *reached) reset(s *rows.Store) error {
	of := make(map[merkle.LogName]rows.Cursor)
	err := s.View(func(tx *rows.Tx) error {
		for _, l := range s.Logs() {
			if c, ok, err := tx.Cursor(l); err == nil && ok {
				of[rows.NameOf(l)] = c
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
func (r *reached) all() (of map[merkle.LogName]rows.Cursor, at map[merkle.LogName]time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.of), maps.Clone(r.at)
}

// beginOf is the cursor of a log of which nothing is folded.
func beginOf(l holdings.Log) rows.Cursor { return rows.Cursor{First: l.First(), Size: l.First()} }
