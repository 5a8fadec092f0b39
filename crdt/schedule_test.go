package crdt

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A world is some replicas, each with a log of its own, and the messages between
// them. What a replica holds of the logs is durable; its view and cursor are one
// state, made by steps that a crash undoes.
type world struct {
	logs     map[Log][]Op // of each log all that was ever written
	replicas []*copied
	queue    []message
	cut      int // replicas below it do not reach the others; 0: all do
}

type copied struct {
	log  Log
	held Vector
	viewed
	old []viewed // earlier states of the view, to put back
}

type viewed struct {
	view   *TaskList
	cursor Vector
}

// message is a batch of a log's records, on its way.
type message struct {
	to         int
	log        Log
	first, end uint64
}

func newWorld(n int) *world {
	w := &world{logs: make(map[Log][]Op)}
	for i := range n {
		w.replicas = append(w.replicas, &copied{log: Log{nodeNames[i%len(nodeNames)], [32]byte{byte(1 + i/len(nodeNames))}}, held: Vector{}, viewed: viewed{NewTaskList(), Vector{}}})
	}
	return w
}

func (v viewed) clone() viewed {
	c := viewed{NewTaskList(), maps.Clone(v.cursor)}
	c.view.Merge(v.view)
	return c
}

// seen are the operations that a view has folded.
func (w *world) seen(v viewed) (ops model) {
	for log, s := range v.cursor {
		ops = append(ops, w.logs[log][s.First:s.Size]...)
	}
	return ops
}

// write appends to a replica's own log.
func (w *world) write(t *rapid.T, r *copied) {
	d := Dot{r.log, uint64(len(w.logs[r.log]))}
	w.logs[r.log] = append(w.logs[r.log], drawOp(t, d))
	r.held.Advance(r.log, d.Seq, d.Seq+1)
}

// names are the logs, in an order that does not depend on the run: a seed draws the
// same again.
func (v Vector) names() []Log {
	return slices.SortedFunc(maps.Keys(v), func(a, b Log) int { return CompareDots(new(SuccessionOrder), Dot{Log: a}, Dot{Log: b}) })
}

// send puts a part of what a replica holds on its way to another.
func (w *world) send(t *rapid.T, from int) {
	to := rapid.IntRange(0, len(w.replicas)-1).Draw(t, "to")
	held := w.replicas[from].held
	if len(held) == 0 || (from < w.cut) != (to < w.cut) {
		return
	}
	log := rapid.SampledFrom(held.names()).Draw(t, "log")
	first := rapid.Uint64Range(0, held[log].Size-1).Draw(t, "first")
	w.queue = append(w.queue, message{to, log, first, rapid.Uint64Range(first+1, held[log].Size).Draw(t, "end")})
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
	w.replicas[m.to].held.Advance(m.log, m.first, m.end)
}

// fold takes a step of one log: some records into a copy of the view, which takes
// its place with the cursor, or is lost in a crash.
func (w *world) fold(t *rapid.T, r *copied, crash bool) {
	for _, log := range r.held.names() {
		s := r.held[log]
		from := r.cursor[log].Size
		if from == s.Size {
			continue
		}
		end := rapid.Uint64Range(from+1, s.Size).Draw(t, "until")
		next := r.clone()
		for _, op := range w.logs[log][from:end] {
			next.view.Apply(op)
		}
		next.cursor.Advance(log, from, end)
		if !crash {
			r.old = append(r.old, r.viewed)
			r.viewed = next
		}
	}
}

// Random schedules over up to five replicas: messages are dropped, doubled,
// reordered and late, the mesh is parted, replicas crash in the middle of a step,
// and an old view is put back. After every step the view is what the naive model
// makes of the records that the cursor names; when all have all, all views are
// one. A failure is shrunk, and names its seed; -rapid.checks=1000000 on demand.
func TestSchedules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(1, 5).Draw(t, "replicas"))
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
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
					r.viewed = rapid.SampledFrom(r.old).Draw(t, "old view").clone()
				}
			case 11:
				w.cut = rapid.IntRange(0, len(w.replicas)-1).Draw(t, "parted")
			default:
				w.fold(t, r, false)
			}
			if err := w.seen(r.viewed).check(r.view); err != nil {
				t.Fatal(err)
			}
		}
		var all []Op
		for _, log := range w.logs {
			all = append(all, log...)
		}
		want := listOf(all...).Items()
		for _, r := range w.replicas {
			for log, ops := range w.logs {
				r.held.Advance(log, 0, uint64(len(ops)))
			}
			for !reflect.DeepEqual(r.cursor, r.held) {
				w.fold(t, r, false)
			}
			if got := r.view.Items(); !reflect.DeepEqual(got, want) {
				t.Fatalf("replica %v has all and shows\n%+v, want\n%+v", r.log, got, want)
			}
		}
	})
}

// All orders of up to six batches, exhaustively, give one view; three replicas
// that take them in different orders differ nowhere in between either: each shows
// what its batches give in the order of the logs.
func TestEveryOrderOfSixBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := drawOps(t)
		batches := make([][]Op, rapid.IntRange(1, 6).Draw(t, "batches"))
		for _, op := range ops {
			i := rapid.IntRange(0, len(batches)-1).Draw(t, "batch")
			batches[i] = append(batches[i], op)
		}
		shows := make(map[int][]Item) // by the set of batches that was taken
		var take func(list *TaskList, taken int)
		take = func(list *TaskList, taken int) {
			items := list.Items()
			if had, ok := shows[taken]; ok && !reflect.DeepEqual(had, items) {
				t.Fatalf("the batches %b show\n%+v, in another order\n%+v", taken, items, had)
			}
			shows[taken] = items
			for i, b := range batches {
				if taken>>i&1 == 0 {
					next := NewTaskList()
					next.Merge(list)
					for _, op := range b {
						next.Apply(op)
					}
					take(next, taken|1<<i)
				}
			}
		}
		take(NewTaskList(), 0)
		if len(shows) != 1<<len(batches) {
			t.Fatal(fmt.Sprintf("%d sets of %d batches", len(shows), len(batches)))
		}
	})
}
