package crdt_test

import (
	"fmt"
	"reflect"
	"testing"

	"auditmesh/crdt"
	"auditmesh/crdt/crdttest"
)

// What the tests of x0x's own task list assert, as far as it applies, and what
// they leave open. A site is a replica whose log is written by one node.
type site struct {
	t    *testing.T
	log  crdt.Log
	next uint64
	view *crdttest.Memory
}

func newSite(t *testing.T, node string) *site { return &site{t, logOf(node, 1), 0, viewOf(t)} }

// write applies an operation of the site's own.
func (s *site) write(time uint64, task crdt.TaskKey, b crdt.Body) crdt.Op {
	op := crdt.Op{Dot: crdt.Dot{Log: s.log, Seq: s.next}, Time: time, Task: task, Body: b}
	s.next++
	s.hear(op)
	return op
}

// hear applies operations of whatever site.
func (s *site) hear(ops ...crdt.Op) {
	if err := s.view.Fold(ops, false); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) items() []crdt.Item { return newest(s.t, s.view) }

// sync merges both ways.
func sync(a, b *site) {
	merge(a.t, a.view, b.view)
	merge(b.t, b.view, a.view)
}

// agree checks that all sites show the same tasks, and returns them.
func agree(t *testing.T, sites ...*site) []crdt.Item {
	t.Helper()
	want := sites[0].items()
	for _, s := range sites[1:] {
		if got := s.items(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s shows\n%+v\n%s shows\n%+v", s.log.Node, got, sites[0].log.Node, want)
		}
	}
	return want
}

func TestTwoWayMerge(t *testing.T) {
	a, b := newSite(t, "A"), newSite(t, "B")
	a.write(1, task("A", 1), crdt.Request{Argv: []string{"a"}})
	b.write(2, task("B", 1), crdt.Request{Argv: []string{"b"}})
	sync(a, b)
	if items := agree(t, a, b); len(items) != 2 || items[0].Argv[0] != "b" || items[1].Argv[0] != "a" {
		t.Errorf("%+v", items)
	}
}

func TestConcurrentClaimsShowTheEarliest(t *testing.T) {
	a, b, c := newSite(t, "A"), newSite(t, "B"), newSite(t, "C")
	a.write(1, task("A", 1), crdt.Request{})
	sync(a, b)
	sync(a, c)
	b.write(30, task("A", 1), crdt.Review{By: "bob"})
	c.write(20, task("A", 1), crdt.Review{By: "cid"})
	a.write(20, task("A", 1), crdt.Review{By: "ann"})
	sync(b, c)
	sync(a, b)
	sync(b, c)
	if it := agree(t, a, b, c)[0]; it.Review.State != crdt.Claimed || it.Review.By != "ann" {
		t.Errorf("of two claims at one time the lower dot's shows: %+v", it.Review)
	}
}

func TestConcurrentCompletionIsDone(t *testing.T) {
	a, b := newSite(t, "A"), newSite(t, "B")
	a.write(1, task("A", 1), crdt.Request{})
	sync(a, b)
	a.write(5, task("A", 1), crdt.Review{By: "ann"})
	b.write(9, task("A", 1), crdt.Review{Completed: true, By: "bob"})
	sync(a, b)
	if it := agree(t, a, b)[0]; it.Review.State != crdt.Done || it.Review.By != "bob" {
		t.Errorf("%+v", it.Review)
	}
}

func TestTenReplicasFullMesh(t *testing.T) {
	var sites []*site
	for n := range 10 {
		s := newSite(t, string(rune('A'+n)))
		for i := range byte(5) {
			s.write(uint64(i), task(s.log.Node, i), crdt.Request{Argv: []string{fmt.Sprint(n, i)}})
		}
		sites = append(sites, s)
	}
	for range 2 {
		for i, a := range sites {
			for _, b := range sites[i+1:] {
				sync(a, b)
			}
		}
	}
	if items := agree(t, sites...); len(items) != 50 {
		t.Errorf("%d tasks", len(items))
	}
}

func TestPartitionsHealTwice(t *testing.T) {
	var sites []*site
	for n := range 6 {
		sites = append(sites, newSite(t, string(rune('A'+n))))
	}
	gossip := func(group []*site) {
		for range 2 {
			for i, a := range group {
				for _, b := range group[i+1:] {
					sync(a, b)
				}
			}
		}
	}
	for round := range byte(2) {
		for _, s := range sites { // each on its side
			s.write(uint64(round), task(s.log.Node, round), crdt.Request{})
		}
		gossip(sites[:3])
		gossip(sites[3:])
		agree(t, sites[:3]...)
		agree(t, sites[3:]...)
		gossip(sites)
		if items := agree(t, sites...); len(items) != 6*int(round+1) {
			t.Fatalf("after healing %d times: %d tasks", round+1, len(items))
		}
	}
}

func TestAsymmetricViews(t *testing.T) {
	a, b, c := newSite(t, "A"), newSite(t, "B"), newSite(t, "C")
	request := a.write(1, task("A", 1), crdt.Request{})
	b.hear(request)                                 // c never hears of it from a
	b.write(2, task("A", 1), crdt.Review{By: "bo"}) // and hears of the review first
	merge(t, c.view, b.view)
	a.write(3, task("A", 1), crdt.Exit{})
	if items := c.items(); len(items) != 1 || items[0].State != crdt.Empty || items[0].Review.By != "bo" {
		t.Errorf("%+v", items)
	}
	sync(a, b)
	sync(b, c)
	if it := agree(t, a, b, c)[0]; it.State != crdt.Done || it.Review.State != crdt.Claimed {
		t.Errorf("%+v", it)
	}
}

func TestRedeliveryChangesNothing(t *testing.T) {
	a := newSite(t, "A")
	ops := []crdt.Op{
		a.write(1, task("A", 1), crdt.Request{}), a.write(2, task("A", 1), crdt.Warning{Kind: "w"}),
		a.write(3, task("A", 1), crdt.Removal{Reason: "r"}), a.write(4, task("A", 1), crdt.Exit{}),
	}
	want := a.items()
	for _, op := range append(ops, ops...) {
		a.hear(op)
		if got := a.items(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v again: %+v", op, got)
		}
	}
}

// By no operation does a node change another's task, nor makes one for it.
func TestUnauthorisedChangesDoNotEnter(t *testing.T) {
	a, evil := newSite(t, "A"), newSite(t, "E")
	request := a.write(1, task("A", 1), crdt.Request{Argv: []string{"ls"}})
	want := a.items()
	for _, b := range []crdt.Body{
		crdt.Request{Argv: []string{"rm"}}, crdt.Started{PID: 1}, crdt.Warning{Kind: "w"}, crdt.Exit{}, crdt.Denial{Reason: "no"}, crdt.Application{Name: "x-a"},
		crdt.Removal{Reason: "gone"}, crdt.Removal{Ranges: ranges(request.Dot.Log, 0, 9)}, crdt.Succession{Old: a.log},
	} {
		op := evil.write(0, task("A", 1), b)
		a.hear(op)
		if got := a.items(); !reflect.DeepEqual(got, want) {
			t.Errorf("%T: %+v", b, got)
		}
	}
	merge(t, a.view, evil.view)
	if got := a.items(); !reflect.DeepEqual(got, want) {
		t.Errorf("by a merge: %+v", got)
	}
	b := newSite(t, "B")
	merge(t, b.view, evil.view)
	if got := b.items(); len(got) != 0 {
		t.Errorf("a task of another node was made: %+v", got)
	}
}

func TestOneIDTwoContents(t *testing.T) {
	a, b := newSite(t, "A"), newSite(t, "A")
	b.log.ID[0] = 2 // another log of the same node
	a.write(5, task("A", 1), crdt.Request{Argv: []string{"one"}})
	b.write(4, task("A", 1), crdt.Request{Argv: []string{"two"}})
	other := newSite(t, "B")
	other.write(1, task("B", 1), crdt.Request{Argv: []string{"of another node"}})
	sync(a, b)
	sync(b, other)
	sync(a, other)
	items := agree(t, a, b, other)
	if len(items) != 2 {
		t.Fatalf("%d tasks: one request id on two nodes is two", len(items))
	}
	if it := items[0]; it.Argv[0] != "one" || it.Time != 5 || len(it.Records) != 2 {
		t.Errorf("the lowest dot's content shows, and both are there: %+v", it)
	}
}

func TestRemovalIsReplicated(t *testing.T) {
	a, b, c := newSite(t, "A"), newSite(t, "B"), newSite(t, "C")
	a.write(1, task("A", 1), crdt.Request{Argv: []string{"ls"}})
	sync(a, b)
	a.write(2, task("A", 1), crdt.Removal{Reason: "old"})
	sync(a, c)
	sync(c, b) // by a third, which had never seen the task
	if it := agree(t, a, b, c)[0]; it.Present || it.Removals[0].Reason != "old" || it.Argv[0] != "ls" {
		t.Errorf("%+v", it)
	}
}

func TestRemovalAgainstConcurrentAdd(t *testing.T) {
	// Two logs of one node: what the remover had not seen stays.
	a, b := newSite(t, "A"), newSite(t, "A")
	b.log.ID[0] = 2
	a.write(1, task("A", 1), crdt.Request{})
	a.write(2, task("A", 1), crdt.Removal{Reason: "old"})
	b.write(2, task("A", 1), crdt.Exit{DurationMS: 7})
	sync(a, b)
	if it := agree(t, a, b)[0]; !it.Present || it.State != crdt.Done || it.Outcome.DurationMS != 7 {
		t.Errorf("add wins: %+v", it)
	}
}

func TestRemovalBeforeAdd(t *testing.T) {
	a, b := newSite(t, "A"), newSite(t, "B")
	request := a.write(1, task("A", 1), crdt.Request{})
	removal := a.write(2, task("A", 1), crdt.Removal{Reason: "old"})
	b.hear(removal)
	if items := b.items(); len(items) != 0 {
		t.Errorf("a removal makes no task: %+v", items)
	}
	b.hear(request)
	if it := agree(t, a, b)[0]; it.Present {
		t.Errorf("%+v", it)
	}
}

func TestThreeWayAssociativity(t *testing.T) {
	// Writes whose clocks disagree with what they replace: a tie that is broken on
	// merged clocks would come out differently by grouping.
	a, b, c := newSite(t, "A"), newSite(t, "B"), newSite(t, "C")
	a.write(1, task("A", 1), crdt.Request{})
	first := a.write(9, task("A", 1), crdt.Note{Field: "note", Value: "first"})
	b.hear(first)
	b.write(3, task("A", 1), crdt.Note{Field: "note", Value: "second", Replaces: []crdt.Dot{first.Dot}})
	c.write(5, task("A", 1), crdt.Note{Field: "note", Value: "beside"})
	merged := func(sites ...*site) *site {
		m := newSite(t, "M")
		for _, s := range sites {
			merge(t, m.view, s.view)
		}
		return m
	}
	items := agree(t, merged(merged(a, b), c), merged(a, merged(b, c)), merged(merged(c, a), b), merged(c, b, a))
	if *items[0].Review.Note != "beside" {
		t.Errorf("of what nobody replaced the greatest time shows: %q", *items[0].Review.Note)
	}
}

func TestReplicaRejoinsWithItsOwn(t *testing.T) {
	a, b := newSite(t, "A"), newSite(t, "B")
	a.write(1, task("A", 1), crdt.Request{})
	sync(a, b)
	b.write(2, task("B", 1), crdt.Request{}) // while away
	b.write(3, task("A", 1), crdt.Review{By: "bob"})
	a.write(4, task("A", 1), crdt.Removal{Reason: "old"})
	sync(a, b)
	items := agree(t, a, b)
	if len(items) != 2 || items[1].Present || items[1].Review.By != "bob" {
		t.Errorf("%+v", items)
	}
}

func TestOversizeState(t *testing.T) {
	a, b := newSite(t, "A"), newSite(t, "B")
	const n = 20_000
	for i := range n {
		key := crdt.TaskKey{Node: "A", Request: [16]byte{byte(i), byte(i >> 8)}}
		a.write(uint64(i), key, crdt.Request{})
	}
	removal := a.write(n, crdt.TaskKey{}, crdt.Removal{Ranges: ranges(a.log, 0, n-10), Reason: "old"})
	merge(t, b.view, a.view)
	present := 0
	for _, it := range agree(t, a, b) {
		if it.Present {
			present++
		}
	}
	kept, err := b.view.Store.RemovedRanges(a.log)
	if want := (crdt.RemovedRange{First: 0, End: n - 10, By: removal.Dot}); err != nil || present != 10 || len(kept) != 1 || kept[0] != want {
		t.Errorf("%d tasks are present; of one removal %v is kept, %v", present, kept, err)
	}
}

func TestClockOf2100(t *testing.T) {
	const in2100 = 4102444800000
	a, b := newSite(t, "A"), newSite(t, "B")
	a.write(1, task("A", 1), crdt.Request{})
	sync(a, b)
	ahead := b.write(in2100, task("A", 1), crdt.Note{Field: "note", Value: "ahead"})
	b.write(in2100, task("A", 1), crdt.Review{By: "bob"})
	sync(a, b)
	a.write(2, task("A", 1), crdt.Note{Field: "note", Value: "now", Replaces: []crdt.Dot{ahead.Dot}})
	a.write(3, task("A", 1), crdt.Review{By: "ann"})
	sync(a, b)
	if it := agree(t, a, b)[0]; *it.Review.Note != "now" || it.Review.By != "ann" || it.Time != 1 {
		t.Errorf("a clock far ahead keeps nothing for itself: %+v", it.Review)
	}
}
