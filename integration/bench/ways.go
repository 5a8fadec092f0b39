package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// appender commits one event, durable when it returns.
type appender interface {
	append(n int) error
	close() error
}

// nthEvent is the n-th: about 300 bytes, as a usual request.
func nthEvent(n int) event.Event {
	return &event.Request{
		TSUnixMS: 1795457017323, RequestID: event.RequestID{byte(n), byte(n >> 8), byte(n >> 16)},
		Argv: []string{"git", "status", "--short", "--branch"}, TimeoutMS: 30000,
	}
}

// ours is the log of package audit.
type ours struct{ log *audit.Log }

func newOurs(dir string) (appender, error) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	o := audit.Options{Path: dir + "/audit.jsonl", SignedPath: filepath.Dir(dir) + "/state/signed.json", Key: key}
	if err := audit.InitSignedState(disk.OS{}, o.SignedPath, merkle.PeerID(key.Public().(ed25519.PublicKey))); err != nil {
		return nil, err
	}
	l, err := audit.OpenOrCreate(o)
	return ours{l}, err
}

func (o ours) append(n int) error {
	_, err := o.log.Append(context.Background(), nthEvent(n))
	return err
}

func (o ours) close() error { return o.log.Close() }

// bare encodes, appends and syncs, for one caller.
type bare struct{ f *os.File }

func newBare(path string) (appender, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return bare{f}, err
}

func (b bare) append(n int) error {
	line, err := event.Encode(nthEvent(n))
	if err != nil {
		return err
	}
	if _, err := b.f.Write(line); err != nil {
		return err
	}
	return unix.Fdatasync(int(b.f.Fd()))
}

func (b bare) close() error { return b.f.Close() }

// groupLoop is the least that a group commit can be: one goroutine that writes
// and syncs what all callers gave it meanwhile.
type groupLoop struct {
	f    *os.File
	mu   sync.Mutex
	cond *sync.Cond
	buf  []byte        // guarded by mu
	done chan struct{} // guarded by mu: closed when buf is durable
	end  bool          // guarded by mu
	err  error         // guarded by mu
	wg   sync.WaitGroup
}

func newGroupLoop(path string) (appender, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	g := &groupLoop{f: f, done: make(chan struct{})}
	g.cond = sync.NewCond(&g.mu)
	g.wg.Go(g.loop)
	return g, err
}

func (g *groupLoop) loop() {
	for {
		g.mu.Lock()
		for len(g.buf) == 0 && !g.end {
			g.cond.Wait()
		}
		if g.end {
			g.mu.Unlock()
			return
		}
		buf, done := g.buf, g.done
		g.buf, g.done = nil, make(chan struct{})
		g.mu.Unlock()
		_, err := g.f.Write(buf)
		err = errors.Join(err, unix.Fdatasync(int(g.f.Fd())))
		g.mu.Lock()
		g.err = errors.Join(g.err, err)
		g.mu.Unlock()
		close(done)
	}
}

func (g *groupLoop) append(n int) error {
	line, err := event.Encode(nthEvent(n))
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.buf = append(g.buf, line...)
	done := g.done
	g.cond.Signal()
	g.mu.Unlock()
	<-done
	return nil
}

func (g *groupLoop) close() error {
	g.mu.Lock()
	g.end = true
	g.cond.Signal()
	g.mu.Unlock()
	g.wg.Wait()
	return errors.Join(g.err, g.f.Close())
}

// seedsWay is what x0x does: a lock, and for each event open, append, sync, close.
type seedsWay struct {
	path string
	mu   sync.Mutex
}

func newSeedsWay(path string) (appender, error) { return &seedsWay{path: path}, nil }

func (s *seedsWay) append(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := newBare(s.path)
	if err != nil {
		return err
	}
	return errors.Join(b.append(n), b.close())
}

func (*seedsWay) close() error { return nil }

// oursBatch commits many events with one call.
type oursBatch struct{ ours }

func newOursBatch(dir string) (appender, error) {
	a, err := newOurs(dir)
	if err != nil {
		return nil, err
	}
	return oursBatch{a.(ours)}, nil
}

func (oursBatch) size() int { return batchSize }

func (o oursBatch) append(n int) error {
	events := make([]event.Event, batchSize)
	for i := range events {
		events[i] = nthEvent(n*batchSize + i)
	}
	_, err := o.log.AppendBatch(context.Background(), events)
	return err
}

// bareBatch writes the bytes of as many events at once and syncs them. They are
// encoded beforehand: it is the device that ours is measured beside.
type bareBatch struct {
	bare
	lines []byte
}

func newBareBatch(path string) (appender, error) {
	a, err := newBare(path)
	if err != nil {
		return nil, err
	}
	b := bareBatch{bare: a.(bare)}
	for i := range batchSize {
		if b.lines, err = event.AppendLine(b.lines, nthEvent(i)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (bareBatch) size() int { return batchSize }

func (b bareBatch) append(int) error {
	if _, err := b.f.Write(b.lines); err != nil {
		return err
	}
	return unix.Fdatasync(int(b.f.Fd()))
}
