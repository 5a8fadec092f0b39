package mirror

import (
	"context"
	"errors"
	"fmt"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/mirror/rows"
)

// Retire removes the segments of a log whose records are all before the record
// at first. Their rows go first, read off the lines while they are there: the
// view is always a fold of lines that are held. A crash in between leaves lines
// that the view lacks; after the next Open that is found, and the view rebuilt.
// While the fold has not come so far, nothing is done. While the database cannot be
// used, the segments go all the same, since a full disk may be why; the view is
// rebuilt when it is back.
func (m *Mirror) Retire(ctx context.Context, name merkle.LogName, first uint64) error {
	log, ok := m.holdings.Log(name)
	if !ok || first <= log.First() {
		return nil
	}
	if m.stalled() != nil {
		return m.retireUnseen(log, name, first)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.store == nil || m.store.Broken() {
		return m.retireUnseen(log, name, first)
	}
	m.retiring.Lock()
	m.retiringTo[name] = max(m.retiringTo[name], first)
	m.retiring.Unlock()
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if more, err = m.undoStep(log, first); errors.Is(err, errNotFolded) {
			return nil
		} else if err != nil {
			return fmt.Errorf("take the records of %s before %d out of the view: %w", name, first, err)
		}
	}
	m.changed.Notify()
	return log.Retire(first)
}

// retireUnseen removes segments of which the view keeps rows: it no longer counts
// as one that is on the way there, so the fold will find it to contradict the files.
func (m *Mirror) retireUnseen(log holdings.Log, name merkle.LogName, first uint64) error {
	m.retiring.Lock()
	delete(m.retiringTo, name)
	m.retiring.Unlock()
	return log.Retire(first)
}

// undoStep takes the next records before first out of the view, and says
// whether there may be more.
func (m *Mirror) undoStep(log holdings.Log, first uint64) (bool, error) {
	m.stepping.Lock()
	defer m.stepping.Unlock()
	return withFewer(func(records int) (bool, error) {
		step, err := m.store.Undo(rows.LogOf(holdings.NameOf(log)))
		if err != nil {
			return false, err
		}
		defer step.Discard()
		cur, err := cursorOf(step.Tx, log)
		if err != nil {
			return false, err
		}
		if cur.First >= first {
			return false, nil
		}
		if cur.Size < first {
			return false, errNotFolded
		}
		r := log.Reader(cur.First)
		defer r.Close()
		f := newFolder(step, cur, m.recent)
		if err := f.run(r, first, records); err != nil {
			return false, err
		}
		if err := step.Commit(); err != nil {
			return false, err
		}
		m.reached.set(holdings.NameOf(log), f.cur, m.now())
		return true, nil
	})
}

var errNotFolded = errors.New("the view has not come so far yet")

// isRetiring says whether the records of a log before first are on their way out.
func (m *Mirror) isRetiring(name merkle.LogName, first uint64) bool {
	m.retiring.Lock()
	defer m.retiring.Unlock()
	to, ok := m.retiringTo[name]
	return ok && first <= to
}
