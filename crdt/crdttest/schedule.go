package crdttest

import (
	"maps"
	"reflect"
	"slices"

	"pgregory.net/rapid"

	"auditmesh/crdt"
)

// A world is some replicas, each with a log of its own, and the messages between
// them. What a replica holds of the logs is durable; its view and cursors are one
// state, made by steps that a crash undoes.
type world struct {
	newView  func() View
	logs     map[crdt.Log][]crdt.Op // of each log all that was ever written
	replicas []*replica
	queue    []message
	cut      int // replicas below it do not reach the others; 0: all do
}

type replica struct {
	log     crdt.Log
	held    vector
	view    View
	cursors vector
	old     []vector // earlier cursors, of views to put back
}

// vector is how many records of each log there are, from the first on.
type vector map[crdt.Log]uint64

// logs are in an order that does not depend on the run: a seed draws the same again.
func (v vector) logs() []crdt.Log { return slices.SortedFunc(maps.Keys(v), crdt.Log.Compare) }

// message is a batch of a log's records, on its way.
type message struct {
	to         int
	log        crdt.Log
	first, end uint64
}

// Schedule runs a random schedule over up to five replicas: messages are dropped,
// doubled, reordered and late, the mesh is parted, replicas crash in the middle of
// a step, and an old view is put back. After every step each view is what the naive
// Model makes of the records that its cursors name; when all have all, all views
// are one. newView makes an empty view.
func Schedule(t *rapid.T, newView func() View) {
	w := &world{newView: newView, logs: make(map[crdt.Log][]crdt.Op)}
	for i := range rapid.IntRange(1, 5).Draw(t, "replicas") {
		log := crdt.Log{Node: nodes()[i%len(nodes())], ID: [32]byte{byte(1 + i/len(nodes()))}}
		w.replicas = append(w.replicas, &replica{log: log, held: vector{}, view: newView(), cursors: vector{}})
	}
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		r := w.step(t)
		if err := r.view.Read(w.seen(r.cursors).Check); err != nil {
			t.Fatal(err)
		}
	}
	w.converge(t)
}

func (w *world) step(t *rapid.T) *replica {
	i := rapid.IntRange(0, len(w.replicas)-1).Draw(t, "replica")
	r := w.replicas[i]
	switch rapid.IntRange(0, 12).Draw(t, "step") {
	case 0, 1, 2:
		w.write(t, r)
	case 3, 4:
		w.send(t, i)
	case 5, 6:
		w.deliver(t, false)
	case 7:
		w.deliver(t, true)
	case 8:
		w.queue = w.queue[:len(w.queue)/2] // dropped
	case 9:
		w.fold(t, r, true)
	case 10:
		if len(r.old) > 0 {
			w.putBack(t, r, rapid.SampledFrom(r.old).Draw(t, "old view"))
		}
	case 11:
		w.cut = rapid.IntRange(0, len(w.replicas)-1).Draw(t, "parted")
	default:
		w.fold(t, r, false)
	}
	return r
}

// write appends to a replica's own log.
func (w *world) write(t *rapid.T, r *replica) {
	d := crdt.Dot{Log: r.log, Seq: uint64(len(w.logs[r.log]))}
	w.logs[r.log] = append(w.logs[r.log], drawOp(t, d))
	r.held[r.log] = d.Seq + 1
}

// send puts a part of what a replica holds on its way to another.
func (w *world) send(t *rapid.T, from int) {
	to := rapid.IntRange(0, len(w.replicas)-1).Draw(t, "to")
	held := w.replicas[from].held
	if len(held) == 0 || (from < w.cut) != (to < w.cut) {
		return
	}
	log := rapid.SampledFrom(held.logs()).Draw(t, "log")
	first := rapid.Uint64Range(0, held[log]-1).Draw(t, "first")
	w.queue = append(w.queue, message{to, log, first, rapid.Uint64Range(first+1, held[log]).Draw(t, "end")})
}

// deliver hands over any message on its way: late, out of order, and once more
// if it is kept. One that would leave a hole is not taken.
func (w *world) deliver(t *rapid.T, keep bool) {
	if len(w.queue) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.queue)-1).Draw(t, "message")
	m := w.queue[i]
	if !keep {
		w.queue = slices.Delete(w.queue, i, i+1)
	}
	if held := w.replicas[m.to].held; m.first <= held[m.log] {
		held[m.log] = max(held[m.log], m.end)
	}
}

// fold takes a step of each log: some records into the view, and on with the
// cursor, or neither in a crash.
func (w *world) fold(t *rapid.T, r *replica, crash bool) {
	for _, log := range r.held.logs() {
		from := r.cursors[log]
		if from == r.held[log] {
			continue
		}
		end := rapid.Uint64Range(from+1, r.held[log]).Draw(t, "until")
		if err := r.view.Fold(w.logs[log][from:end], crash); err != nil {
			t.Fatal(err)
		}
		if !crash {
			r.old = append(r.old, maps.Clone(r.cursors))
			r.cursors[log] = end
		}
	}
}

// putBack makes a replica's view again as it was at earlier cursors.
func (w *world) putBack(t *rapid.T, r *replica, cursors vector) {
	r.view, r.cursors = w.newView(), maps.Clone(cursors)
	if err := r.view.Fold(w.seen(cursors), false); err != nil {
		t.Fatal(err)
	}
}

// seen are the operations up to cursors.
func (w *world) seen(cursors vector) (ops Model) {
	for _, log := range cursors.logs() {
		ops = append(ops, w.logs[log][:cursors[log]]...)
	}
	return ops
}

// converge gives every replica every record, and compares the views.
func (w *world) converge(t *rapid.T) {
	all := vector{}
	for log, ops := range w.logs {
		all[log] = uint64(len(ops))
	}
	complete, err := MemoryOf(w.seen(all)...)
	if err != nil {
		t.Fatal(err)
	}
	want, err := complete.Newest()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range w.replicas {
		maps.Copy(r.held, all)
		for !maps.Equal(r.cursors, all) {
			w.fold(t, r, false)
		}
		err := r.view.Read(func(list *crdt.TaskList) error {
			got, err := Newest(list)
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Fatalf("the replica with log %s/%x has all and shows\n%+v, want\n%+v", r.log.Node, r.log.ID[:1], got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
