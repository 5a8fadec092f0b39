package crdt

import (
	"fmt"
	"reflect"
	"testing"
)

// What the tests of x0x's own task list assert, as far as it applies, and what
// they leave open. A site is a replica whose log is written by one node.
type site struct {
	log  Log
	next uint64
	list *TaskList
}

func newSite(node string) *site {
	return &site{log: Log{node, [32]byte{1}}, list: NewTaskList()}
}

// write applies an operation of the site's own.
func (s *site) write(time uint64, task TaskKey, b Body) Op {
	op := Op{Dot{s.log, s.next}, time, task, b}
	s.next++
	s.list.Apply(op)
	return op
}

// sync merges both ways.
func sync(a, b *site) {
	a.list.Merge(b.list)
	b.list.Merge(a.list)
}

func task(node string, n byte) TaskKey { return TaskKey{node, [16]byte{n}} }

// agree checks that all sites show the same tasks, and returns them.
func agree(t *testing.T, sites ...*site) []Item {
	t.Helper()
	want := sites[0].list.Items()
	for _, s := range sites[1:] {
		if got := s.list.Items(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s shows\n%+v\n%s shows\n%+v", s.log.Node, got, sites[0].log.Node, want)
		}
	}
	return want
}

func TestTwoWayMerge(t *testing.T) {
	a, b := newSite("A"), newSite("B")
	a.write(1, task("A", 1), Request{Argv: []string{"a"}})
	b.write(2, task("B", 1), Request{Argv: []string{"b"}})
	sync(a, b)
	if items := agree(t, a, b); len(items) != 2 || items[0].Argv[0] != "b" || items[1].Argv[0] != "a" {
		t.Errorf("%+v", items)
	}
}

func TestConcurrentClaimsShowTheEarliest(t *testing.T) {
	a, b, c := newSite("A"), newSite("B"), newSite("C")
	a.write(1, task("A", 1), Request{})
	sync(a, b)
	sync(a, c)
	b.write(30, task("A", 1), Review{By: "bob"})
	c.write(20, task("A", 1), Review{By: "cid"})
	a.write(20, task("A", 1), Review{By: "ann"})
	sync(b, c)
	sync(a, b)
	sync(b, c)
	if it := agree(t, a, b, c)[0]; it.Review.State != Claimed || it.Review.By != "ann" {
		t.Errorf("of two claims at one time the lower dot's shows: %+v", it.Review)
	}
}

func TestConcurrentCompletionIsDone(t *testing.T) {
	a, b := newSite("A"), newSite("B")
	a.write(1, task("A", 1), Request{})
	sync(a, b)
	a.write(5, task("A", 1), Review{By: "ann"})
	b.write(9, task("A", 1), Review{Completed: true, By: "bob"})
	sync(a, b)
	if it := agree(t, a, b)[0]; it.Review.State != Done || it.Review.By != "bob" {
		t.Errorf("%+v", it.Review)
	}
}

func TestTenReplicasFullMesh(t *testing.T) {
	var sites []*site
	for n := range 10 {
		s := newSite(string(rune('A' + n)))
		for i := range byte(5) {
			s.write(uint64(i), task(s.log.Node, i), Request{Argv: []string{fmt.Sprint(n, i)}})
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
		sites = append(sites, newSite(string(rune('A'+n))))
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
			s.write(uint64(round), task(s.log.Node, round), Request{})
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
	a, b, c := newSite("A"), newSite("B"), newSite("C")
	request := a.write(1, task("A", 1), Request{})
	b.list.Apply(request)                      // c never hears of it from a
	b.write(2, task("A", 1), Review{By: "bo"}) // and hears of the review first
	c.list.Merge(b.list)
	a.write(3, task("A", 1), Exit{})
	if items := c.list.Items(); len(items) != 1 || items[0].State != Empty || items[0].Review.By != "bo" {
		t.Errorf("%+v", items)
	}
	sync(a, b)
	sync(b, c)
	if it := agree(t, a, b, c)[0]; it.State != Done || it.Review.State != Claimed {
		t.Errorf("%+v", it)
	}
}

func TestRedeliveryChangesNothing(t *testing.T) {
	a := newSite("A")
	ops := []Op{
		a.write(1, task("A", 1), Request{}), a.write(2, task("A", 1), Warning{Kind: "w"}),
		a.write(3, task("A", 1), Removal{Reason: "r"}), a.write(4, task("A", 1), Exit{}),
	}
	want := a.list.Items()
	for _, op := range append(ops, ops...) {
		a.list.Apply(op)
		if got := a.list.Items(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v again: %+v", op, got)
		}
	}
}

// By no operation does a node change another's task, nor makes one for it.
func TestUnauthorisedChangesDoNotEnter(t *testing.T) {
	a, evil := newSite("A"), newSite("E")
	request := a.write(1, task("A", 1), Request{Argv: []string{"ls"}})
	want := a.list.Items()
	for _, b := range []Body{
		Request{Argv: []string{"rm"}}, Started{PID: 1}, Warning{Kind: "w"}, Exit{}, Denial{Reason: "no"}, Application{Name: "x-a"},
		Removal{Reason: "gone"}, Removal{Ranges: []Range{{request.Dot.Log, 0, 9}}}, Succession{Old: a.log},
	} {
		op := evil.write(0, task("A", 1), b)
		a.list.Apply(op)
		if got := a.list.Items(); !reflect.DeepEqual(got, want) {
			t.Errorf("%T: %+v", b, got)
		}
	}
	a.list.Merge(evil.list)
	if got := a.list.Items(); !reflect.DeepEqual(got, want) {
		t.Errorf("by a merge: %+v", got)
	}
	b := newSite("B")
	b.list.Merge(evil.list)
	if got := b.list.Items(); len(got) != 0 {
		t.Errorf("a task of another node was made: %+v", got)
	}
}

func TestOneIDTwoContents(t *testing.T) {
	a, b := newSite("A"), newSite("A")
	b.log.ID[0] = 2 // another log of the same node
	a.write(5, task("A", 1), Request{Argv: []string{"one"}})
	b.write(4, task("A", 1), Request{Argv: []string{"two"}})
	other := newSite("B")
	other.write(1, task("B", 1), Request{Argv: []string{"of another node"}})
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
	a, b, c := newSite("A"), newSite("B"), newSite("C")
	a.write(1, task("A", 1), Request{Argv: []string{"ls"}})
	sync(a, b)
	a.write(2, task("A", 1), Removal{Reason: "old"})
	sync(a, c)
	sync(c, b) // by a third, which had never seen the task
	if it := agree(t, a, b, c)[0]; it.Present || it.Removals[0].Reason != "old" || it.Argv[0] != "ls" {
		t.Errorf("%+v", it)
	}
}

func TestRemovalAgainstConcurrentAdd(t *testing.T) {
	// Two logs of one node: what the remover had not seen stays.
	a, b := newSite("A"), newSite("A")
	b.log.ID[0] = 2
	a.write(1, task("A", 1), Request{})
	a.write(2, task("A", 1), Removal{Reason: "old"})
	b.write(2, task("A", 1), Exit{DurationMS: 7})
	sync(a, b)
	if it := agree(t, a, b)[0]; !it.Present || it.State != Done || it.Outcome.DurationMS != 7 {
		t.Errorf("add wins: %+v", it)
	}
}

func TestRemovalBeforeAdd(t *testing.T) {
	a, b := newSite("A"), newSite("B")
	request := a.write(1, task("A", 1), Request{})
	removal := a.write(2, task("A", 1), Removal{Reason: "old"})
	b.list.Apply(removal)
	if items := b.list.Items(); len(items) != 0 {
		t.Errorf("a removal makes no task: %+v", items)
	}
	b.list.Apply(request)
	if it := agree(t, a, b)[0]; it.Present {
		t.Errorf("%+v", it)
	}
}

func TestThreeWayAssociativity(t *testing.T) {
	// Writes whose clocks disagree with what they replace: a tie that is broken on
	// merged clocks would come out differently by grouping.
	a, b, c := newSite("A"), newSite("B"), newSite("C")
	a.write(1, task("A", 1), Request{})
	first := a.write(9, task("A", 1), Note{Field: "note", Value: "first"})
	b.list.Apply(first)
	b.write(3, task("A", 1), Note{Field: "note", Value: "second", Replaces: []Dot{first.Dot}})
	c.write(5, task("A", 1), Note{Field: "note", Value: "beside"})
	merged := func(sites ...*site) *site {
		m := newSite("M")
		for _, s := range sites {
			m.list.Merge(s.list)
		}
		return m
	}
	items := agree(t, merged(merged(a, b), c), merged(a, merged(b, c)), merged(merged(c, a), b), merged(c, b, a))
	if *items[0].Review.Note != "beside" {
		t.Errorf("of what nobody replaced the greatest time shows: %q", *items[0].Review.Note)
	}
}

func TestReplicaRejoinsWithItsOwn(t *testing.T) {
	a, b := newSite("A"), newSite("B")
	a.write(1, task("A", 1), Request{})
	sync(a, b)
	b.write(2, task("B", 1), Request{}) // while away
	b.write(3, task("A", 1), Review{By: "bob"})
	a.write(4, task("A", 1), Removal{Reason: "old"})
	sync(a, b)
	items := agree(t, a, b)
	if len(items) != 2 || items[1].Present || items[1].Review.By != "bob" {
		t.Errorf("%+v", items)
	}
}

func TestOversizeState(t *testing.T) {
	a, b := newSite("A"), newSite("B")
	const n = 20_000
	for i := range n {
		key := TaskKey{"A", [16]byte{byte(i), byte(i >> 8)}}
		a.write(uint64(i), key, Request{})
	}
	removal := a.write(n, TaskKey{}, Removal{Ranges: []Range{{a.log, 0, n - 10}}, Reason: "old"})
	b.list.Merge(a.list)
	present := 0
	for _, it := range agree(t, a, b) {
		if it.Present {
			present++
		}
	}
	if present != 10 || len(removal.Body.(Removal).Ranges) != 1 || b.list.covered.Len() != 1 {
		t.Errorf("%d tasks are present; %d ranges are kept of one removal", present, b.list.covered.Len())
	}
}

func TestClockOf2100(t *testing.T) {
	const in2100 = 4102444800000
	a, b := newSite("A"), newSite("B")
	a.write(1, task("A", 1), Request{})
	sync(a, b)
	ahead := b.write(in2100, task("A", 1), Note{Field: "note", Value: "ahead"})
	b.write(in2100, task("A", 1), Review{By: "bob"})
	sync(a, b)
	a.write(2, task("A", 1), Note{Field: "note", Value: "now", Replaces: []Dot{ahead.Dot}})
	a.write(3, task("A", 1), Review{By: "ann"})
	sync(a, b)
	if it := agree(t, a, b)[0]; *it.Review.Note != "now" || it.Review.By != "ann" || it.Time != 1 {
		t.Errorf("a clock far ahead keeps nothing for itself: %+v", it.Review)
	}
}
