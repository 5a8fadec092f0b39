package node

import (
	"fmt"
	"sync"
	"time"
)

// glance asks something that may hang, without hanging: whoever looks waits for a
// stated time at most, and gets the last answer otherwise. Only one question is
// ever under way. The zero value is ready; it is safe for concurrent use.
type glance[T any] struct {
	mu   sync.Mutex
	busy chan struct{} // guarded by mu: closed when the question under way is answered; nil: none is
	last T             // guarded by mu
	err  error         // guarded by mu: of the last answer
}

// look is the answer of ask, or the last one with an error if it takes longer than wait.
func (g *glance[T]) look(wait time.Duration, ask func() (T, error)) (T, error) {
	g.mu.Lock()
	busy := g.busy
	if busy == nil {
		busy = make(chan struct{})
		g.busy = busy
		go func() {
			v, err := ask()
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.err = err; err == nil {
				g.last = v
			}
			g.busy = nil
			close(busy)
		}()
	}
	g.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-busy:
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.last, g.err
	case <-timer.C:
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.last, fmt.Errorf("no answer within %s", wait)
	}
}
