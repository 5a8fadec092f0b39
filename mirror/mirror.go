package mirror

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/internal/notify"
	"auditmesh/mirror/rows"
)

// Mirror folds the holdings into the view and answers questions about it. Run
// and Retire are the only writers; all questions may be asked at any time by anyone.
type Mirror struct {
	holdings *holdings.Holdings
	own      interface {
		Subscribe() (<-chan struct{}, func())
	} // nil without an own log
	dir      string
	logger   *slog.Logger
	changed  notify.Hub
	rebuilds atomic.Uint64
	budget   int // of records that one page looks at
	reached  *reached
	now      func() time.Time

	stepping   sync.Mutex   // taken for one step of the fold, or of its undoing
	recent     *recentTasks // guarded by stepping
	retiring   sync.Mutex
	retiringTo map[merkle.LogName]uint64 // guarded by retiring: since Open

	writing atomic.Int64 // when the write under way began, in ns since 1970; 0: none is

	mu     sync.RWMutex
	store  *rows.Store // guarded by mu: nil while it is not open
	closed bool        // guarded by mu

	state   sync.Mutex
	why     error         // guarded by state: why the view is not there or not kept up
	since   time.Time     // guarded by state: when why was set
	opening chan struct{} // guarded by state: closed unless the database is being opened
}

// Rebuilds counts how often the view had to be made anew since Open.
func (m *Mirror) Rebuilds() uint64 { return m.rebuilds.Load() }

// Subscribe wakes after the view changed.
func (m *Mirror) Subscribe() (<-chan struct{}, func()) { return m.changed.Subscribe() }

const (
	// lookEvery is how often Run looks without being woken: a wake-up is a hint.
	lookEvery = 2 * time.Second
)

// Run opens the database, and folds what is new until ctx ends; then it returns
// nil. A view that contradicts the files, or cannot be read, is rebuilt from them.
// What fails is said by Err and tried again, with growing pauses.
func (m *Mirror) Run(ctx context.Context) error {
	copies, cancel := m.holdings.Subscribe()
	defer cancel()
	var own <-chan struct{}
	if m.own != nil {
		wake, cancel := m.own.Subscribe()
		defer cancel()
		own = wake
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	pause := retryOpen
	for {
		if err := m.advance(ctx); err != nil && ctx.Err() == nil {
			m.setErr(err)
			if open, broken := m.isOpen(); open && !broken {
				pause = retryOpen // one log that cannot be folded keeps the others waiting no longer
			}
			m.logger.Error("the view is not kept up", slog.Any("error", err), slog.Duration("next try in", pause))
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, slowedOpen)
			continue
		}
		pause = retryOpen
		select {
		case <-ctx.Done():
			return nil
		case <-own:
		case <-copies:
		case <-ticker.C:
		}
	}
}

// hasStrays says whether a log that the view folded is no longer held at all, as
// when its files were removed while the node was down. A damaged copy is another
// matter: its records are shown as not available.
func (m *Mirror) hasStrays() bool {
	of, _ := m.reached.all()
	for name, c := range of {
		if c.Size > c.First && !m.holdings.Knows(name) {
			return true
		}
	}
	return false
}

// advance brings the view to what is held: it opens or mends the database first,
// where that is due.
func (m *Mirror) advance(ctx context.Context) error {
	open, broken := m.isOpen()
	var err error
	switch {
	case !open:
		if err = m.open(); err == nil && m.hasStrays() {
			m.logger.Warn("the view has rows of a log that is held no more")
			err = m.rebuild()
		}
	case broken:
		err = m.reopen()
	}
	if err != nil {
		return err
	}
	err = m.foldAll(ctx)
	if errors.Is(err, errContradiction) && ctx.Err() == nil {
		m.logger.Error("the fold failed", slog.Any("error", err))
		if err = m.rebuild(); err == nil {
			err = m.foldAll(ctx)
		}
	}
	if err == nil {
		m.setErr(nil)
	}
	return err
}
