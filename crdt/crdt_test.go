package crdt

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Small worlds: few nodes, logs, tasks and times, so that everything collides.

var nodeNames = []string{"A", "B", "C"}

func drawLog(t *rapid.T, label string) Log {
	return Log{Node: rapid.SampledFrom(nodeNames).Draw(t, label+" node"), ID: [32]byte{rapid.ByteRange(1, 2).Draw(t, label+" log")}}
}

func drawDot(t *rapid.T, label string) Dot {
	return Dot{drawLog(t, label), rapid.Uint64Range(0, 8).Draw(t, label+" seq")}
}

func drawKey(t *rapid.T, node string) TaskKey {
	return TaskKey{node, [16]byte{rapid.ByteRange(1, 2).Draw(t, "request")}}
}

func drawOp(t *rapid.T, d Dot) Op {
	op := Op{Dot: d, Time: rapid.Uint64Range(1, 3).Draw(t, "time"), Task: drawKey(t, d.Node)}
	anyTask := func() { op.Task = drawKey(t, rapid.SampledFrom(nodeNames).Draw(t, "of node")) }
	dots := func() []Dot {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Dot { return drawDot(t, "replaced") }), 0, 3).Draw(t, "replaces")
	}
	switch rapid.IntRange(0, 11).Draw(t, "kind") {
	case 0, 1:
		op.Body = Request{Argv: []string{fmt.Sprint(d)}, TimeoutMS: uint32(d.Seq)}
	case 2:
		op.Body = Started{PID: uint32(d.Seq)}
	case 3:
		op.Body = Warning{Kind: fmt.Sprint(d)}
	case 4:
		op.Body = Exit{DurationMS: d.Seq}
	case 5:
		op.Body = Denial{Argv: []string{"no"}, Reason: fmt.Sprint(d)}
	case 6:
		op.Body = Removal{Reason: fmt.Sprint(d)}
	case 7:
		op.Task = TaskKey{}
		first := rapid.Uint64Range(0, 8).Draw(t, "first")
		op.Body = Removal{Reason: fmt.Sprint(d), Ranges: []Range{{drawLog(t, "range"), first, first + rapid.Uint64Range(1, 4).Draw(t, "len")}}}
	case 8:
		anyTask()
		op.Body = Review{Completed: rapid.Bool().Draw(t, "done"), By: fmt.Sprint(d)}
	case 9:
		anyTask()
		op.Body = Release{Replaces: dots()}
	case 10:
		anyTask()
		op.Body = Note{Field: rapid.SampledFrom([]string{"note", "priority"}).Draw(t, "field"), Value: fmt.Sprint(d), Replaces: dots()}
	case 11:
		op.Task = TaskKey{}
		op.Body = Succession{Old: drawLog(t, "old")}
	}
	return op
}

// drawOps draws operations with distinct dots, as logs have them.
func drawOps(t *rapid.T) []Op {
	dots := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Dot { return drawDot(t, "dot") }), 0, 14, func(d Dot) Dot { return d }).Draw(t, "dots")
	ops := make([]Op, len(dots))
	for i, d := range dots {
		ops[i] = drawOp(t, d)
	}
	return ops
}

func listOf(ops ...Op) *TaskList {
	l := NewTaskList()
	for _, op := range ops {
		l.Apply(op)
	}
	return l
}

// Any order, duplication and batching of the same operations gives the same view.
func TestAnyOrderAndBatching(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := drawOps(t)
		want := listOf(ops...).Items()
		shuffled := rapid.Permutation(append(slices.Clone(ops), ops...)).Draw(t, "order")
		got := NewTaskList()
		for i := 0; i < len(shuffled); {
			n := rapid.IntRange(1, len(shuffled)-i).Draw(t, "batch")
			got.Merge(listOf(shuffled[i : i+n]...))
			i += n
		}
		if !reflect.DeepEqual(got.Items(), want) {
			t.Fatalf("got  %+v\nwant %+v", got.Items(), want)
		}
	})
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := drawOps(t)
		parts := [3][]Op{}
		for _, op := range ops {
			for i := range parts { // overlapping replicas
				if rapid.Bool().Draw(t, "has") {
					parts[i] = append(parts[i], op)
				}
			}
		}
		merge := func(a, b *TaskList) *TaskList { c := NewTaskList(); c.Merge(a); c.Merge(b); return c }
		l := func(i int) *TaskList { return listOf(parts[i]...) }
		for name, pair := range map[string][2]*TaskList{
			"commutative": {merge(l(0), l(1)), merge(l(1), l(0))},
			"associative": {merge(merge(l(0), l(1)), l(2)), merge(l(0), merge(l(1), l(2)))},
			"idempotent":  {merge(l(0), l(0)), l(0)},
		} {
			if a, b := pair[0].Items(), pair[1].Items(); !reflect.DeepEqual(a, b) {
				t.Fatalf("not %s:\n%+v\n%+v", name, a, b)
			}
		}
	})
}

func TestAgainstNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := drawOps(t)
		if err := model(ops).check(listOf(ops...)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRangesAgainstASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Ranges
		set := map[Dot]bool{}
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			first := rapid.Uint64Range(0, 30).Draw(t, "first")
			x := Range{drawLog(t, "log"), first, first + rapid.Uint64Range(0, 6).Draw(t, "len")}
			r.Add(x)
			for s := x.First; s < x.End; s++ {
				set[Dot{x.Log, s}] = true
			}
		}
		spans := 0
		for _, node := range []string{"A", "B", "C"} {
			for id := byte(1); id <= 2; id++ {
				for s := range uint64(40) {
					d := Dot{Log{node, [32]byte{id}}, s}
					if r.Has(d) != set[d] {
						t.Fatalf("%v: %v, want %v", d, r.Has(d), set[d])
					}
					if set[d] && (s == 0 || !set[Dot{d.Log, s - 1}]) {
						spans++
					}
				}
			}
		}
		if r.Len() != spans {
			t.Fatalf("kept as %d ranges, %d would do", r.Len(), spans)
		}
	})
}

func TestVector(t *testing.T) {
	a, b := Log{"A", [32]byte{1}}, Log{"B", [32]byte{1}}
	v := Vector{}
	if !v.Advance(a, 0, 5) || v.Advance(a, 6, 7) || !v.Advance(a, 3, 8) || !v.Advance(a, 8, 8) {
		t.Error("advance")
	}
	if !v.Has(Dot{a, 7}) || v.Has(Dot{a, 8}) || v.Has(Dot{b, 0}) {
		t.Error("has")
	}
	w := Vector{b: {2, 4}, a: {0, 3}}
	w.Merge(v)
	v.Merge(w)
	if !v.Equal(w) || v[a] != (Span{0, 8}) || v[b] != (Span{2, 4}) {
		t.Errorf("merged %v and %v", v, w)
	}
}

func op(node string, seq, time uint64, key TaskKey, b Body) Op {
	return Op{Dot{Log{node, [32]byte{1}}, seq}, time, key, b}
}

// The statements of the design, one by one.
func TestStatements(t *testing.T) {
	key := TaskKey{"A", [16]byte{1}}
	one := func(ops ...Op) Item {
		items := listOf(ops...).Items()
		if len(items) != 1 {
			t.Fatalf("%d items", len(items))
		}
		return items[0]
	}
	request, exit := op("A", 0, 10, key, Request{Argv: []string{"ls"}}), op("A", 3, 12, key, Exit{})
	removal := op("A", 2, 11, key, Removal{Reason: "old"})
	if it := one(request); it.State != Empty || !it.Present {
		t.Errorf("a request is Empty: %+v", it)
	}
	if it := one(removal, request); it.Present || len(it.Removals) != 1 || it.Removals[0].Reason != "old" || it.Argv[0] != "ls" {
		t.Errorf("a removal that comes first removes: %+v", it)
	}
	if it := one(removal, request, exit); !it.Present || it.Time != 12 || it.State != Done {
		t.Errorf("an outcome that the remover had not seen is never hidden: %+v", it)
	}
	if it := one(request, op("B", 0, 1, key, Exit{}), op("B", 1, 1, key, Removal{})); it.State != Empty || !it.Present {
		t.Errorf("no node changes another's task: %+v", it)
	}
	byRange := op("B", 5, 1, TaskKey{}, Removal{Ranges: []Range{{request.Dot.Log, 0, 9}}})
	if it := one(request, byRange); !it.Present {
		t.Errorf("nor by a range: %+v", it)
	}
	if items := listOf(op("B", 0, 1, key, Review{})).Items(); len(items) != 0 {
		t.Errorf("review creates a task: %+v", items)
	}
	claims := []Op{request, op("C", 0, 20, key, Review{By: "late"}), op("B", 0, 19, key, Review{By: "early"})}
	if it := one(claims...); it.Review.State != Claimed || it.Review.By != "early" {
		t.Errorf("the earliest claim shows: %+v", it.Review)
	}
	if it := one(append(claims, op("D", 0, 30, key, Release{Replaces: []Dot{claims[2].Dot}}))...); it.Review.By != "late" {
		t.Errorf("a release takes back what it names, no more: %+v", it.Review)
	}
	if it := one(append(claims, op("D", 0, 30, key, Review{Completed: true, By: "done"}))...); it.Review.State != Done || it.Review.By != "done" {
		t.Errorf("Done beats Claimed: %+v", it.Review)
	}
	future := op("B", 0, 1<<62, key, Note{Field: "note", Value: "2100"})
	after := op("C", 0, 5, key, Note{Field: "note", Value: "now", Replaces: []Dot{future.Dot}})
	if it := one(request, future, after); *it.Review.Note != "now" {
		t.Errorf("a write replaces one with a clock far ahead: %v", *it.Review.Note)
	}
}
