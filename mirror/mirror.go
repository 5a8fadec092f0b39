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

// advance brings the view to what is held: it opens or mends the database first,
// where that is due.
func (m *Mirror) advance(ctx context.Context) error {
	open, broken := m.isOpen()
	var err error
	switch {
	case !open:
		err = m.open()
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
