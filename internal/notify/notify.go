// Package notify wakes loops. A wake-up is a hint: it may be merged with
// others or come for nothing, so a woken loop looks at the state itself.
package notify

import "sync"

// Hub wakes every subscriber. The zero value is ready; it is safe for
// concurrent use, and Notify never blocks.
type Hub struct {
	mu   sync.Mutex
	subs map[chan struct{}]struct{} // guarded by mu
}

// Subscribe returns a channel that holds at most one pending wake-up, and the
// function that ends the subscription.
func (h *Hub) Subscribe() (wake <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = make(map[chan struct{}]struct{})
	}
	h.subs[ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs, ch)
	}
}

// Notify leaves one wake-up with every subscriber that has none pending.
func (h *Hub) Notify() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
