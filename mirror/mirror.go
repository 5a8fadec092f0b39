package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	badger "github.com/dgraph-io/badger"
	"go.uber.org/zap"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/internal/notify"
)

// Mirror folds the holdings into the view and answers questions about it. Run
// and Retire are the only writers; all questions may be asked at any time by anyone.
type Mirror struct {
	holdings *holdings.Holdings
	own      interface {
		Subscribe() (<-chan struct{}, func())
	} // nil without an own log
	dir      string
	logger   *zap.Logger
	changed  notify.Hub
	rebuilds atomic.Uint64
	budget   int // of records that one page looks at
	reached  *reached
	now      func() time.Time

	stepping   sync.Mutex // held for one step of the fold, or of its undoing
	retiring   sync.Mutex
	retiringTo map[merkle.LogName]uint64 // guarded by retiring: since Open

	mu    sync.RWMutex
	store *store // guarded by mu: replaced by a rebuild
}

// Open opens the view's database in dir, made anew if it cannot be used.
func Open(dir string, h *holdings.Holdings, logger *zap.Logger) (*Mirror, error) {
	m := &Mirror{holdings: h, dir: dir, logger: logger, budget: scanBudget, reached: newReached(), now: time.Now, retiringTo: make(map[merkle.LogName]uint64)}
	if h.Opts.Own != nil {
		m.own = h.Opts.Own
	}
	s, whole, err := openStore(dir, logger)
	if err != nil {
		return nil, err
	}
	m.store = s
	if !whole {
		m.rebuilds.Add(1)
	}
	m.resetReached()
	return m, nil
}

// Rebuilds counts how often the view had to be made anew since Open.
func (m *Mirror) Rebuilds() uint64 { return m.rebuilds.Load() }

// Subscribe wakes after the view changed.
func (m *Mirror) Subscribe() (<-chan struct{}, func()) { return m.changed.Subscribe() }

// Close frees the database. Run must have returned.
func (m *Mirror) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.store.close()
}

const (
	// lookEvery is how often Run looks without being woken: a wake-up is a hint.
	lookEvery = 2 * time.Second
	// retryFold is the pause after a step that failed.
	retryFold = time.Second
)

// Run folds what is new until ctx ends, and returns nil. A view that contradicts
// the files, or cannot be read, is rebuilt from them.
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
	for {
		if err := m.foldAll(ctx); err != nil && ctx.Err() == nil {
			m.logger.Error("the fold failed", zap.Error(err))
			if errors.Is(err, errContradiction) {
				err = m.rebuild()
			}
			if err != nil {
				select {
				case <-ctx.Done():
				case <-time.After(retryFold):
				}
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-own:
		case <-copies:
		case <-ticker.C:
		}
	}
}

// rebuild throws the database away and begins anew.
func (m *Mirror) rebuild() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rebuilds.Add(1)
	m.logger.Warn("rebuilding the view from the files")
	if err := m.store.close(); err != nil {
		m.logger.Warn("closing the old view", zap.Error(err))
	}
	if err := os.RemoveAll(m.dir); err != nil {
		return err
	}
	s, err := tryOpen(m.dir)
	if err != nil {
		return fmt.Errorf("rebuild the view: %w", err)
	}
	m.store = s
	m.resetReached()
	return nil
}

func (m *Mirror) resetReached() {
	if err := m.reached.reset(m.store); err != nil {
		m.logger.Warn("how far the view is cannot be read; the fold will rebuild it", zap.Error(err))
	}
}

// read runs f on one state of the view.
func (m *Mirror) read(f func(s *store, txn *badger.Txn) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.store.ds.DB.View(func(txn *badger.Txn) error { return f(m.store, txn) })
}
