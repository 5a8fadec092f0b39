package crdt_test

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"auditmesh/crdt"
	"auditmesh/crdt/crdttest"
)

// fataler is a *testing.T or a *rapid.T.
type fataler interface{ Fatal(...any) }

func viewOf(t fataler, ops ...crdt.Op) *crdttest.Memory {
	v, err := crdttest.MemoryOf(ops...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// merge takes in all that another view has seen.
func merge(t fataler, into, from *crdttest.Memory) {
	if err := into.Merge(from); err != nil {
		t.Fatal(err)
	}
}

func newest(t fataler, v *crdttest.Memory) []crdt.Item {
	items, err := v.Newest()
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// Any order, duplication and batching of the same operations gives the same view.
func TestAnyOrderAndBatching(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := crdttest.DrawOps(t)
		want := newest(t, viewOf(t, ops...))
		shuffled := rapid.Permutation(append(slices.Clone(ops), ops...)).Draw(t, "order")
		got := viewOf(t)
		for i := 0; i < len(shuffled); {
			n := rapid.IntRange(1, len(shuffled)-i).Draw(t, "batch")
			merge(t, got, viewOf(t, shuffled[i:i+n]...))
			i += n
		}
		if got := newest(t, got); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := crdttest.DrawOps(t)
		parts := [3][]crdt.Op{}
		for _, op := range ops {
			for i := range parts { // overlapping replicas
				if rapid.Bool().Draw(t, "has") {
					parts[i] = append(parts[i], op)
				}
			}
		}
		both := func(a, b *crdttest.Memory) *crdttest.Memory {
			c := viewOf(t)
			merge(t, c, a)
			merge(t, c, b)
			return c
		}
		v := func(i int) *crdttest.Memory { return viewOf(t, parts[i]...) }
		for name, pair := range map[string][2]*crdttest.Memory{
			"commutative": {both(v(0), v(1)), both(v(1), v(0))},
			"associative": {both(both(v(0), v(1)), v(2)), both(v(0), both(v(1), v(2)))},
			"idempotent":  {both(v(0), v(0)), v(0)},
		} {
			if a, b := newest(t, pair[0]), newest(t, pair[1]); !reflect.DeepEqual(a, b) {
				t.Fatalf("not %s:\n%+v\n%+v", name, a, b)
			}
		}
	})
}

func TestAgainstNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := crdttest.DrawOps(t)
		if err := viewOf(t, ops...).Read(crdttest.Model(ops).Check); err != nil {
			t.Fatal(err)
		}
	})
}

func logOf(node string, id byte) crdt.Log { return crdt.Log{Node: node, ID: [32]byte{id}} }

func task(node string, n byte) crdt.TaskKey { return crdt.TaskKey{Node: node, Request: [16]byte{n}} }

func ranges(log crdt.Log, first, end uint64) []crdt.Range {
	return []crdt.Range{{Log: log, First: first, End: end}}
}

func op(node string, seq, time uint64, key crdt.TaskKey, b crdt.Body) crdt.Op {
	return crdt.Op{Dot: crdt.Dot{Log: logOf(node, 1), Seq: seq}, Time: time, Task: key, Body: b}
}

// The statements of the design, one by one.
func TestStatements(t *testing.T) {
	key := task("A", 1)
	one := func(ops ...crdt.Op) crdt.Item {
		items := newest(t, viewOf(t, ops...))
		if len(items) != 1 {
			t.Fatalf("%d items", len(items))
		}
		return items[0]
	}
	request, exit := op("A", 0, 10, key, crdt.Request{Argv: []string{"ls"}}), op("A", 3, 12, key, crdt.Exit{})
	removal := op("A", 2, 11, key, crdt.Removal{Reason: "old"})
	if it := one(request); it.State != crdt.Empty || !it.Present {
		t.Errorf("a request is Empty: %+v", it)
	}
	if it := one(removal, request); it.Present || len(it.Removals) != 1 || it.Removals[0].Reason != "old" || it.Argv[0] != "ls" {
		t.Errorf("a removal that comes first removes: %+v", it)
	}
	if it := one(removal, request, exit); !it.Present || it.Time != 12 || it.State != crdt.Done {
		t.Errorf("an outcome that the remover had not seen is never hidden: %+v", it)
	}
	if it := one(request, op("B", 0, 1, key, crdt.Exit{}), op("B", 1, 1, key, crdt.Removal{})); it.State != crdt.Empty || !it.Present {
		t.Errorf("no node changes another's task: %+v", it)
	}
	byRange := op("B", 5, 1, crdt.TaskKey{}, crdt.Removal{Ranges: ranges(request.Dot.Log, 0, 9)})
	if it := one(request, byRange); !it.Present {
		t.Errorf("nor by a range: %+v", it)
	}
	if items := newest(t, viewOf(t, op("B", 0, 1, key, crdt.Review{}))); len(items) != 0 {
		t.Errorf("review creates a task: %+v", items)
	}
	claims := []crdt.Op{request, op("C", 0, 20, key, crdt.Review{By: "late"}), op("B", 0, 19, key, crdt.Review{By: "early"})}
	if it := one(claims...); it.Review.State != crdt.Claimed || it.Review.By != "early" {
		t.Errorf("the earliest claim shows: %+v", it.Review)
	}
	if it := one(append(claims, op("D", 0, 30, key, crdt.Release{Replaces: []crdt.Dot{claims[2].Dot}}))...); it.Review.By != "late" {
		t.Errorf("a release takes back what it names, no more: %+v", it.Review)
	}
	if it := one(append(claims, op("D", 0, 30, key, crdt.Review{Completed: true, By: "done"}))...); it.Review.State != crdt.Done || it.Review.By != "done" {
		t.Errorf("Done beats Claimed: %+v", it.Review)
	}
	future := op("B", 0, 1<<62, key, crdt.Note{Field: "note", Value: "2100"})
	after := op("C", 0, 5, key, crdt.Note{Field: "note", Value: "now", Replaces: []crdt.Dot{future.Dot}})
	if it := one(request, future, after); *it.Review.Note != "now" {
		t.Errorf("a write replaces one with a clock far ahead: %v", *it.Review.Note)
	}
}
