package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/mirror/rows"
)

// One step of the fold is one transaction; these keep it within Badger's limit
// for one (15% of a 4-MiB table, and 2 to 4 rows a record).
const (
	stepRecords = 2000
	stepBytes   = 512 << 10
)

// errContradiction means that the view is not a fold of the files.
var errContradiction = errors.New("the view does not fit the files")

// foldAll folds all logs up to what is durable, a step of each in turn, so that
// neither a long log nor one that cannot be folded keeps the others waiting.
func (m *Mirror) foldAll(ctx context.Context) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.store == nil {
		return &unavailableError{errClosed}
	}
	r := newRound()
	defer r.close()
	failed := make(map[merkle.LogName]error)
	for more := true; more; {
		more = false
		for _, log := range m.holdings.Logs() {
			if err := ctx.Err(); err != nil {
				return err
			}
			name := holdings.NameOf(log)
			if failed[name] != nil {
				continue
			}
			advanced, err := m.step(log, r)
			if err != nil {
				failed[name] = fmt.Errorf("fold log %s: %w", name, err)
			}
			if advanced {
				more = true
				m.changed.Notify()
			}
		}
		if err := m.progress(r, time.Now()); err != nil {
			return err
		}
	}
	if r.behind {
		m.logger.Info("the view has caught up with what is held", slog.Uint64("folded", r.records))
	}
	return errors.Join(slices.Collect(maps.Values(failed))...)
}

// step folds the next records of one log: rows and cursor in one transaction.
func (m *Mirror) step(log holdings.Log, r *round) (bool, error) {
	m.stepping.Lock()
	defer m.stepping.Unlock()
	return withFewer(func(records int) (bool, error) { return m.stepOf(records, log, r) })
}

// withFewer takes a step of fewer records where more are too much for one transaction.
func withFewer(step func(records int) (bool, error)) (bool, error) {
	for records := stepRecords; ; records /= 2 {
		advanced, err := step(records)
		if !errors.Is(err, rows.ErrStepTooBig) || records == 1 {
			return advanced, err
		}
	}
}

func (m *Mirror) stepOf(records int, log holdings.Log, round *round) (bool, error) {
	name := holdings.NameOf(log)
	step, err := m.store.Fold(rows.LogOf(name))
	if err != nil {
		return false, err
	}
	defer step.Discard()
	cur, err := cursorOf(step.Tx, log)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errContradiction, err)
	}
	size := log.Size()
	if cur.Size > size {
		return false, fmt.Errorf("%w: %d records are folded, %d are held", errContradiction, cur.Size, size)
	}
	if first := log.First(); cur.First != first && !m.isRetiring(name, cur.First) {
		return false, fmt.Errorf("%w: it begins at record %d of %s, what is held at %d", errContradiction, cur.First, name, first)
	}
	if cur.Size == size {
		return false, nil
	}
	f := newFolder(step, cur, m.recent)
	if err := f.run(round.readerAt(log, cur.Size), size, records); err != nil {
		return false, err
	}
	if err := step.Commit(); err != nil {
		return false, err
	}
	m.reached.set(name, f.cur, m.now())
	round.records += f.cur.Size - cur.Size
	return true, nil
}
