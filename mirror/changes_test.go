package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/crdt"
)

// subscribe starts a subscription, and returns what it tells.
func (r *replica) subscribe(t *testing.T, f Filter) <-chan Change {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	told, ready, done := make(chan Change), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- r.m.Changes(ctx, f, func() error { close(ready); return nil }, func(c Change) error {
			select {
			case told <- c:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	<-ready
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return told
}

func asked(n byte) *event.Request {
	return &event.Request{TSUnixMS: 1000 + uint64(n), RequestID: event.RequestID{n}, Argv: []string{"ls"}}
}

// step appends, folds, and wakes subscribers as Run does.
func (r *replica) step(t *testing.T, events ...event.Event) {
	t.Helper()
	r.append(t, events...)
	r.fold(t)
}

// A subscriber is told of each task that changes, as it is then, and that one does
// not fit any more.
func TestChanges(t *testing.T) {
	r := newReplica(t, 1)
	r.step(t, asked(1), asked(2))
	all, running := r.subscribe(t, Filter{}), r.subscribe(t, Filter{States: []string{StateRunning}, Nodes: []string{peerOf(1)}})
	other := r.subscribe(t, Filter{Nodes: []string{peerOf(2)}})
	code := int32(0)
	expect := func(ch <-chan Change, id byte, state string) {
		t.Helper()
		c := <-ch
		got := ""
		if c.Task != nil {
			got = StateOf(*c.Task)
		}
		if c.Node != peerOf(1) || c.RequestID[:2] != fmt.Sprintf("%02x", id) || got != state || c.Missed != 0 {
			t.Errorf("told %s %s %q missed %d, want %02x %q", c.Node, c.RequestID, got, c.Missed, id, state)
		}
	}
	r.step(t, &event.Started{TSUnixMS: 1005, RequestID: event.RequestID{1}})
	expect(all, 1, StateRunning)
	expect(running, 1, StateRunning)
	r.step(t, &event.Exit{TSUnixMS: 1006, RequestID: event.RequestID{1}, Code: &code}, &event.Exit{TSUnixMS: 1006, RequestID: event.RequestID{9}})
	expect(all, 1, StateDone)
	expect(all, 9, StateDone)
	expect(running, 1, "")
	expect(running, 9, "")
	name := holdings.NameOf(r.log)
	r.step(t, &event.TaskRemoved{TSUnixMS: 1007, Reason: "old", Ranges: []event.SeqRange{{Log: event.PartyID(name.ID), First: 0, End: 2}}})
	expect(all, 1, StateDone) // its exit is left
	expect(all, 2, "")
	expect(running, 1, "")
	expect(running, 2, "")
	// A removal of a range that has removals in it, and itself.
	r.step(t, &event.TaskRemoved{TSUnixMS: 1008, Reason: "all", Ranges: []event.SeqRange{{Log: event.PartyID(name.ID), First: 0, End: 100}}})
	for _, id := range []byte{1, 2, 9} {
		expect(all, id, "")
	}
	// Another node's subscriber was told nothing of all that.
	b := newReplica(t, 2)
	b.append(t, asked(7))
	r.pull(t, b)
	r.fold(t)
	if c := <-other; c.Node != peerOf(2) || c.RequestID[:2] != "07" || c.Task == nil {
		t.Errorf("another node's subscriber was told %+v", c)
	}
}

// Who is too far behind is told how much it missed, and goes on from there. The
// fold has not waited.
func TestChangesAreMissed(t *testing.T) {
	r := newReplica(t, 1)
	told := r.subscribe(t, Filter{})
	r.step(t, asked(1))
	if c := <-told; c.Task == nil {
		t.Fatalf("%+v", c)
	}
	r.step(t, asked(2))
	var many []event.Event
	for range 1000 {
		many = append(many, asked(3))
	}
	for range maxBehind/1000 + 1 {
		r.append(t, many...)
	}
	r.fold(t) // with nobody reading
	sum := uint64(0)
	for ok := false; !ok; {
		c := <-told
		sum += c.Missed
		ok = c.Missed > 0
	}
	if sum < maxBehind {
		t.Errorf("%d records were missed, %d were folded", sum, maxBehind)
	}
	r.step(t, asked(4))
	for c := range told {
		if c.RequestID[:2] == "04" {
			break
		}
	}
}

// A subscriber that holds what it was told, and lists again after it missed some,
// ends with what the view has.
func TestChangesAddUp(t *testing.T) {
	r := population(t, 200)[0]
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	held := make(map[string]crdt.Item)
	list := func() error {
		page, err := r.m.Tasks(TaskQuery{Filter: Filter{Unreviewed: true}, Limit: MaxPage})
		for _, it := range page.Tasks {
			held[it.Node+it.RequestID] = it
		}
		return err
	}
	ready, caughtUp := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- r.m.Changes(ctx, Filter{Unreviewed: true}, func() error { defer close(ready); return list() }, func(c Change) error {
			if c.Task == nil {
				delete(held, c.Node+c.RequestID)
			} else {
				held[c.Node+c.RequestID] = *c.Task
			}
			if c.RequestID[:2] == "ee" {
				close(caughtUp)
				return errors.New("enough")
			}
			return nil
		})
	}()
	<-ready
	for i := range 100 {
		id := event.RequestID{0, byte(i)}
		switch i % 4 {
		case 0:
			r.step(t, &event.Reviewed{Completed: true, TSUnixMS: 2000, Node: peerOf(1), RequestID: id, By: "ada"})
		case 1:
			r.step(t, &event.TaskRemoved{TSUnixMS: 2000, RequestID: &id, Reason: "old"})
		case 2:
			r.step(t, asked(byte(i)))
		case 3:
			r.step(t, &event.Started{TSUnixMS: 2000, RequestID: id})
		}
	}
	r.step(t, asked(0xee))
	<-caughtUp
	<-done
	was := held
	held = make(map[string]crdt.Item)
	if err := list(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(was, held) {
		t.Errorf("%d tasks are held, the view has %d", len(was), len(held))
	}
}
