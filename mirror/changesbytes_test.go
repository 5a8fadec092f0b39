package mirror

import (
	"strings"
	"testing"

	"auditmesh/audit/event"
	"auditmesh/crdt"
)

// What is kept for a subscriber is bounded in bytes, whatever the tasks are: their
// names, and the tasks that are read at one time.
func TestSubscriberIsBoundedInBytes(t *testing.T) {
	r := newReplica(t, 1)
	c := changes{m: r.m, seen: make(map[crdt.TaskKey]bool)}
	const tasks = 20_000
	node := peerOf(1)
	for i := range tasks {
		c.add(crdt.TaskKey{Node: node, Request: [16]byte{byte(i >> 8), byte(i)}})
	}
	kept := len(c.order)
	if kept*len(node) > queueBytes || kept < 1000 || len(c.seen) != kept || uint64(kept)+c.missed != tasks {
		t.Errorf("%d tasks are kept, %d seen and %d missed, of %d", kept, len(c.seen), c.missed, tasks)
	}

	var keys []crdt.TaskKey
	for i := range 40 {
		id := event.RequestID{byte(i)}
		r.append(t, &event.Request{TSUnixMS: 1000, RequestID: id, Argv: []string{strings.Repeat("x", 100<<10)}})
		keys = append(keys, crdt.TaskKey{Node: node, Request: id})
	}
	r.fold(t)
	total := 0
	for rest := keys; len(rest) > 0; {
		list, n, err := c.read(rest)
		if err != nil || n == 0 || len(list) != n {
			t.Fatalf("%d changes of %d tasks: %v", len(list), n, err)
		}
		bytes := 0
		for _, change := range list {
			bytes += len(change.Task.Argv[0])
		}
		if bytes > readBytes+100<<10 {
			t.Errorf("%d bytes were read at one time", bytes)
		}
		total += n
		rest = rest[n:]
	}
	if total != len(keys) {
		t.Errorf("%d tasks were told, want %d", total, len(keys))
	}
}

// Missed for the bytes of the queue, as for the number of records: said, once a
// round, and followed by what was kept.
func TestFullQueueIsTold(t *testing.T) {
	r := newReplica(t, 1)
	told := r.subscribe(t, Filter{})
	const tasks = 8000 // fewer than maxBehind
	var many []event.Event
	for i := range tasks {
		many = append(many, &event.Request{TSUnixMS: 1000, RequestID: event.RequestID{byte(i >> 8), byte(i)}, Argv: []string{"ls"}})
	}
	for len(many) > 0 {
		n := min(1000, len(many))
		r.append(t, many[:n]...)
		many = many[n:]
	}
	for range 2 { // a wake-up may find a part
		r.fold(t)
	}
	var missed, got uint64
	for got+missed < tasks {
		c := <-told
		missed += c.Missed
		if c.Task != nil {
			got++
		}
	}
	if missed+got != tasks {
		t.Errorf("%d were told and %d missed, of %d", got, missed, tasks)
	}
}
