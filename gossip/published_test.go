package gossip

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"auditmesh/audit"
	"auditmesh/audit/merkle"
)

// unreadable is an own log that signs while its records cannot be read.
type unreadable struct {
	*audit.Log
	fails atomic.Bool
	tried atomic.Uint64
}

func (l *unreadable) Batch(from uint64) (*merkle.Batch, error) {
	if l.fails.Load() {
		l.tried.Add(1)
		return nil, errors.New("input/output error")
	}
	return l.Log.Batch(from)
}

// Published is what the topic was given, not what is signed: records that are
// under a checkpoint and cannot be read stay unpublished until they can.
func TestPublishedIsWhatWasSent(t *testing.T) {
	h := newHeld(t, 1)
	h.append(t, 0, 5)
	if err := h.own.Sign(); err != nil {
		t.Fatal(err)
	}
	own := &unreadable{Log: h.own}
	m, err := New(Options{Tasklist: "test", Key: nodeKey(t, 1), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Holdings: h, Own: own, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if m.Published() != 0 {
		t.Errorf("%d records are published before the mesh runs", m.Published())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, func() bool { return m.Published() == 5 }) // catch-up offers them
	if n := m.Counters().Published.Load(); n != 0 {
		t.Errorf("%d batches were sent of what was signed before", n)
	}
	own.fails.Store(true)
	h.append(t, 5, 8)
	eventually(t, func() bool { return own.tried.Load() > 0 })
	if h.own.SignedSize() < 6 || m.Published() != 5 {
		t.Errorf("%d records are signed and none can be read, %d are published", h.own.SignedSize(), m.Published())
	}
	own.fails.Store(false)
	h.append(t, 8, 9)
	eventually(t, func() bool { return m.Published() == 9 })
}
