package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/mirror/rows"
)

// The view is derived, so nothing of the node may depend on its database. It is
// opened, written, closed and opened again here, by Run's goroutine alone. What it
// cannot do is said by Err, and tried again with pauses. Badger can hang, where it
// cannot flush: whoever asks or closes the view waits for a stated time only.

const (
	// openWait bounds how long a question waits for a database that is being opened.
	openWait = 5 * time.Second
	// stallAfter is how long one write may take before questions are refused:
	// Badger lets all reads wait for a write under way.
	stallAfter = 10 * time.Second
	// retryOpen and slowedOpen are the first and the longest pause between two tries.
	retryOpen  = time.Second
	slowedOpen = 30 * time.Second
)

// ErrUnavailable is returned for questions while the view's database cannot be
// used. The log goes on, and the view comes back by itself.
var ErrUnavailable = errors.New("the view is not available")

// unavailableError says why. To a client it is like an answer that did not come
// in time, so it matches context.DeadlineExceeded too.
type unavailableError struct{ why error }

func (e *unavailableError) Error() string { return ErrUnavailable.Error() + ": " + e.why.Error() }
func (e *unavailableError) Unwrap() error { return e.why }
func (e *unavailableError) Is(target error) bool {
	return target == ErrUnavailable || target == context.DeadlineExceeded //nolint:errorlint // this is the comparison
}

var (
	errOpening = errors.New("its database is being opened")
	errClosed  = errors.New("it was closed")
	errRebuild = errors.New("its database is being made anew")
)

// New is the view in dir. It opens nothing: Run does. A nil logger is silent.
func New(dir string, h *holdings.Holdings, logger *slog.Logger) *Mirror {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	m := &Mirror{
		holdings: h, dir: dir, logger: logger, budget: scanBudget, reached: newReached(), now: time.Now, recent: newRecentTasks(), retiringTo: make(map[merkle.LogName]uint64),
		why: errOpening, since: time.Now(), opening: make(chan struct{}),
	}
	if h.Opts.Own != nil {
		m.own = h.Opts.Own
	}
	return m
}

// Open opens the view's database in dir, made anew if it cannot be used.
func Open(dir string, h *holdings.Holdings, logger *slog.Logger) (*Mirror, error) {
	m := New(dir, h, logger)
	if err := m.open(); err != nil {
		return nil, err
	}
	return m, nil
}

// Err says why the view is not there or not kept up, or returns nil; also while its
// database is being opened, unless that takes long. It does not wait.
func (m *Mirror) Err() error {
	m.state.Lock()
	defer m.state.Unlock()
	switch took := time.Since(m.since); {
	case m.why == nil:
		return m.stalled()
	case !errors.Is(m.why, errOpening):
		return m.why
	case took > stallAfter:
		return fmt.Errorf("%w, for %s already; its disk may be full or failing", m.why, took.Round(time.Second))
	}
	return nil
}

// setErr keeps why the view is not kept up, nil if it is.
func (m *Mirror) setErr(err error) {
	m.state.Lock()
	defer m.state.Unlock()
	m.why, m.since = err, time.Now()
}

// stalled is an error while a write takes too long.
func (m *Mirror) stalled() error {
	since := m.writing.Load()
	if since == 0 {
		return nil
	}
	if took := time.Since(time.Unix(0, since)); took > stallAfter {
		return fmt.Errorf("a write to its database has not ended for %s; its disk may be full or failing", took.Round(time.Second))
	}
	return nil
}

// open opens the database, if it is not.
func (m *Mirror) open() error {
	s, whole, err := rows.Open(m.dir, &m.writing, m.logger)
	if err == nil && !whole {
		m.rebuilds.Add(1)
	}
	if s != nil {
		if err := m.reached.reset(s); err != nil {
			m.logger.Warn("how far the view is cannot be read; the fold will rebuild it", slog.Any("error", err))
		}
	}
	m.stepping.Lock()
	m.recent = newRecentTasks()
	m.stepping.Unlock()
	m.mu.Lock()
	closed := m.closed
	if !closed {
		m.store = s
	}
	m.mu.Unlock()
	if closed { // given up meanwhile
		return errors.Join(err, errClosed, closeStore(s))
	}
	m.setErr(err)
	m.endOpening()
	return err
}

func closeStore(s *rows.Store) error {
	if s == nil {
		return nil
	}
	return s.Close()
}

func (m *Mirror) endOpening() {
	m.state.Lock()
	defer m.state.Unlock()
	select {
	case <-m.opening:
	default:
		close(m.opening)
	}
}

// take takes the database away from who asks, to close it.
func (m *Mirror) take(why error) *rows.Store {
	m.state.Lock()
	m.why, m.since = why, time.Now()
	select {
	case <-m.opening:
		m.opening = make(chan struct{})
	default:
	}
	m.state.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.store
	m.store = nil
	return s
}

// awaitOpen waits while the database is being opened, for at most openWait.
func (m *Mirror) awaitOpen() {
	m.state.Lock()
	opening := m.opening
	m.state.Unlock()
	select {
	case <-opening:
	default:
		select {
		case <-opening:
		case <-time.After(openWait):
		}
	}
}

// isOpen says whether there is a database, and whether it may be written.
func (m *Mirror) isOpen() (open, broken bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.store == nil {
		return false, false
	}
	return true, m.store.Broken()
}

// rebuild throws the database away and begins anew.
func (m *Mirror) rebuild() error {
	m.rebuilds.Add(1)
	m.logger.Warn("rebuilding the view from the files")
	if err := closeStore(m.take(errRebuild)); err != nil {
		m.logger.Warn("closing the old view", slog.Any("error", err))
	}
	if err := rows.Remove(m.dir); err != nil {
		err = fmt.Errorf("rebuild the view: %w", err)
		m.setErr(err)
		m.endOpening()
		return err
	}
	if err := m.open(); err != nil {
		return fmt.Errorf("rebuild the view: %w", err)
	}
	return nil
}

// reopen closes a database of which a write failed, and opens it anew, once the
// disk takes writes again. Until then it is only read: after a write that was cut
// short Badger no longer knows where in its file it is, and to close it flushes.
func (m *Mirror) reopen() error {
	if err := probe(m.dir); err != nil {
		return fmt.Errorf("the view's disk takes no writes: %w", err)
	}
	if err := closeStore(m.take(errOpening)); err != nil {
		m.logger.Warn("closing the view after a write that failed", slog.Any("error", err))
	}
	return m.open()
}

// probeBytes is as much as closing the database may write.
const probeBytes = 8 << 20

// probe writes and removes a file in a directory.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// Close is Shutdown without a bound of time.
func (m *Mirror) Close() error { return m.Shutdown(context.Background()) }

// Shutdown frees the database, and refuses all questions from then on. When ctx
// ends first it gives up, with an error: the database is then freed by the end of
// the process, and nothing is lost, since the view is derived.
func (m *Mirror) Shutdown(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		s := m.take(errClosed)
		m.endOpening()
		m.mu.Lock()
		m.closed = true
		if s == nil {
			s, m.store = m.store, nil // opened between the two
		}
		m.mu.Unlock()
		done <- closeStore(s)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the view's database does not close (%w): it is given up, and rebuilt if need be", ctx.Err())
	}
}
