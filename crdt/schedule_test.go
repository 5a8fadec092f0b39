package crdt_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"auditmesh/crdt"
	"auditmesh/crdt/crdttest"
)

// Random schedules over the store in memory. A failure is shrunk, and names its
// seed; -rapid.checks=1000000 on demand. Package mirror/rows runs the same over its
// own store.
func TestSchedules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		crdttest.Schedule(t, func() crdttest.View { return crdttest.NewMemory() })
	})
}

// All orders of up to six batches, exhaustively, give one view; three replicas
// that take them in different orders differ nowhere in between either: each shows
// what its batches give in the order of the logs.
func TestEveryOrderOfSixBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := crdttest.DrawOps(t)
		batches := make([][]crdt.Op, rapid.IntRange(1, 6).Draw(t, "batches"))
		for _, op := range ops {
			i := rapid.IntRange(0, len(batches)-1).Draw(t, "batch")
			batches[i] = append(batches[i], op)
		}
		shows := make(map[int][]crdt.Item) // by the set of batches that was taken
		var take func(so []crdt.Op, taken int)
		take = func(so []crdt.Op, taken int) {
			items := newest(t, viewOf(t, so...))
			if had, ok := shows[taken]; ok && !reflect.DeepEqual(had, items) {
				t.Fatalf("the batches %b show\n%+v, in another order\n%+v", taken, items, had)
			}
			shows[taken] = items
			for i, b := range batches {
				if taken>>i&1 == 0 {
					take(append(so[:len(so):len(so)], b...), taken|1<<i)
				}
			}
		}
		take(nil, 0)
		if len(shows) != 1<<len(batches) {
			t.Fatalf("%d sets of %d batches", len(shows), len(batches))
		}
	})
}
