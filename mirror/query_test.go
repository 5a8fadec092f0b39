package mirror

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/audit/segment"
	"auditmesh/crdt"
	"auditmesh/crdt/crdttest"
)

// population makes two replicas with tasks of all kinds, many at the same time.
func population(t *testing.T, tasks int) []*replica {
	t.Helper()
	reps := []*replica{newReplica(t, 1), newReplica(t, 2)}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range tasks {
		r := reps[rng.IntN(2)]
		id := event.RequestID{byte(i >> 8), byte(i), byte(rng.IntN(3))}
		ts := uint64(1000 + rng.IntN(tasks/3))
		agent, machine := event.PartyID{byte(rng.IntN(4) << 4)}, event.PartyID{byte(rng.IntN(3))}
		argv := []string{[]string{"git", "Make", "ls"}[rng.IntN(3)], []string{"status", "-la", "Über Maß"}[rng.IntN(3)]}
		if rng.IntN(5) == 0 {
			r.append(t, &event.Denial{TSUnixMS: ts, RequestID: id, AgentID: agent, MachineID: machine, Argv: argv, Reason: []string{"exec_disabled", "trust_rejected"}[rng.IntN(2)]})
		} else {
			r.append(t, &event.Request{TSUnixMS: ts, RequestID: id, AgentID: agent, MachineID: machine, Argv: argv})
			if rng.IntN(3) > 0 {
				r.append(t, &event.Started{TSUnixMS: ts + 1, RequestID: id, PID: uint32(i)})
			}
			if code := int32(rng.IntN(2)); rng.IntN(2) == 0 {
				r.append(t, &event.Exit{TSUnixMS: ts + uint64(rng.IntN(50)) - 20, RequestID: id, Code: &code})
			}
		}
		switch rng.IntN(8) {
		case 0:
			r.append(t, &event.TaskRemoved{TSUnixMS: ts, RequestID: &id, Reason: "old"})
			if i%2 == 0 { // it is there again
				code := int32(1)
				r.append(t, &event.Started{TSUnixMS: ts + 3, RequestID: id}, &event.Exit{TSUnixMS: ts + 4, RequestID: id, Code: &code})
			}
		case 1:
			reps[0].append(t, &event.Reviewed{Completed: true, TSUnixMS: ts, Node: peerOf(byte(1 + slices.Index(reps, r))), RequestID: id, By: "ada"})
		}
	}
	reps[0].pull(t, reps[1])
	reps[0].fold(t)
	return reps
}

// wants says naively whether a task fits.
func wants(f Filter, it crdt.Item) bool {
	any := func(list []string, ok func(string) bool) bool { return len(list) == 0 || slices.ContainsFunc(list, ok) }
	prefix := func(of string) func(string) bool { return func(p string) bool { return strings.Index(of, p) == 0 } }
	state := "pending"
	if it.State == crdt.Claimed {
		state = "running"
	}
	if o := it.Outcome; o != nil && (o.Signal != nil || o.Code != nil && *o.Code != 0) {
		state = "failed"
	} else if o != nil {
		state = "done"
	}
	reason := ""
	if it.Denial != nil {
		state, reason = "denied", *it.Denial
	}
	text := strings.Join(it.Argv, " ")
	if f.Text == strings.ToLower(f.Text) {
		text = strings.ToLower(text)
	}
	return any(f.Nodes, prefix(it.Node)) && any(f.Agents, prefix(it.AgentID)) && any(f.Machines, prefix(it.MachineID)) && any(f.Requests, prefix(it.RequestID)) &&
		any(f.States, func(s string) bool { return s == state }) && any(f.Reasons, func(r string) bool { return r == reason }) &&
		any(f.Events, func(e string) bool {
			return slices.ContainsFunc(it.Records, func(r crdt.ItemRecord) bool { return r.Event == e })
		}) &&
		(!f.Unreviewed || it.Review.State != crdt.Done) && (it.Present || f.Removed || f.OnlyRemoved) && (!it.Present || !f.OnlyRemoved) &&
		it.Time >= f.Since && (f.Until == 0 || it.Time < f.Until) && strings.Contains(text, f.Text)
}

// Any filter, in either order, over pages of any size and any budget, finds what
// going through all tasks finds, in the same order, each once.
func TestFiltersAgainstNaive(t *testing.T) {
	for name, r := range map[string]*replica{"plain": population(t, 300)[0], "ranges": withRanges(t), "successor": withSuccessor(t), "tied": withTies(t), "retired": withRetention(t), "restarts": withRestarts(t)} {
		t.Run(name, func(t *testing.T) { filtersAgainstNaive(t, r) })
	}
}

// withRanges has removals of ranges, which leave some records of tasks.
func withRanges(t *testing.T) *replica {
	r := population(t, 300)[0]
	name := holdings.NameOf(r.log)
	for _, x := range [][2]uint64{{0, 30}, {60, 90}, {85, 95}, {120, 121}} {
		r.append(t, &event.TaskRemoved{TSUnixMS: 1100, Reason: "range", Ranges: []event.SeqRange{{Log: event.PartyID(name.ID), First: x[0], End: x[1]}}})
	}
	r.fold(t)
	return r
}

// withSuccessor has a node with two logs, and tasks with records in both.
func withSuccessor(t *testing.T) *replica {
	old, next, viewer := newReplica(t, 1), newReplica(t, 1), newReplica(t, 3)
	rng := rand.New(rand.NewPCG(3, 4))
	code := int32(1)
	for i := range 150 {
		id := event.RequestID{0, byte(i), byte(rng.IntN(3))}
		ts := uint64(1000 + rng.IntN(40))
		old.append(t, &event.Request{TSUnixMS: ts, RequestID: id, AgentID: event.PartyID{byte(rng.IntN(4) << 4)}, Argv: []string{"git", "push"}})
		if i == 0 {
			next.append(t, &event.LogSucceeded{TSUnixMS: 1045, Log: event.PartyID(holdings.NameOf(old.log).ID), Reason: "behind"})
		}
		if rng.IntN(2) == 0 {
			next.append(t, &event.Started{TSUnixMS: ts + 45, RequestID: id})
		}
		switch rng.IntN(4) {
		case 0:
			next.append(t, &event.Exit{TSUnixMS: ts + 46, RequestID: id, Code: &code})
		case 1:
			next.append(t, &event.TaskRemoved{TSUnixMS: ts + 50, RequestID: &id, Reason: "old"})
		case 2:
			next.append(t, &event.Denial{TSUnixMS: ts + 50, RequestID: id, Reason: "exec_disabled", Argv: []string{"ls"}})
		}
	}
	viewer.pull(t, next)
	viewer.fold(t)
	viewer.pull(t, old)
	viewer.fold(t)
	return viewer
}

// withRetention has tasks whose first records are gone.
func withRetention(t *testing.T) *replica {
	r := newReplica(t, 1)
	for i := range 200 {
		id := event.RequestID{0, byte(i)}
		r.append(t, &event.Request{TSUnixMS: 1000 + uint64(i%30), RequestID: id, AgentID: event.PartyID{byte(i%4) << 4}, Argv: []string{"git", "push"}})
	}
	for i := range 200 {
		id, code := event.RequestID{0, byte(i)}, int32(i%2)
		r.append(t, &event.Started{TSUnixMS: 1040 + uint64(i%20), RequestID: id}, &event.Exit{TSUnixMS: 1050 + uint64(i%20), RequestID: id, Code: &code})
	}
	r.fold(t)
	if err := r.log.Sign(); err != nil {
		t.Fatal(err)
	}
	gone := uint64(0)
	for _, log := range r.h.Logs() {
		first, err := log.Retirable(segment.Retention{Segments: 2}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.m.Retire(t.Context(), holdings.NameOf(log), first); err != nil {
			t.Fatal(err)
		}
		gone += log.First()
	}
	if gone == 0 {
		t.Fatal("nothing was retired")
	}
	return r
}

// withTies has more records of one time than are put in order in memory, and a
// log whose clock was ahead once, so that all its bounds are one.
func withTies(t *testing.T) *replica {
	viewer := newReplica(t, 3)
	code := int32(1)
	for node := range 2 {
		r := newReplica(t, byte(node+1))
		if node == 1 {
			r.append(t, &event.Denial{TSUnixMS: 4_102_444_800_000, RequestID: event.RequestID{2}, Reason: "exec_disabled"})
		}
		for i := range maxTied * 3 / 4 {
			id := event.RequestID{0, byte(i * 7), byte(node)}
			r.append(t, &event.Request{TSUnixMS: 1050, RequestID: id, AgentID: event.PartyID{byte(i%3) << 4}, Argv: []string{"git", "push"}})
			if i%50 == 0 {
				r.append(t, &event.Exit{TSUnixMS: 1050, RequestID: id, Code: &code})
			}
		}
		r.append(t, &event.Denial{TSUnixMS: 1049, RequestID: event.RequestID{byte(node)}, Reason: "exec_disabled"})
		r.append(t, &event.Denial{TSUnixMS: 1060, RequestID: event.RequestID{1, byte(node)}, Reason: "exec_disabled"})
		viewer.pull(t, r)
	}
	viewer.fold(t)
	return viewer
}

func filtersAgainstNaive(t *testing.T, r *replica) {
	var all []crdt.Item
	if err := r.m.read(func(s *snapshot) (err error) {
		all, err = crdttest.Newest(s.list)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	pick := func(rt *rapid.T, name string, values ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(values), 0, 2, rapid.ID[string]).Draw(rt, name)
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := Filter{
			Nodes: pick(rt, "nodes", peerOf(1), peerOf(2)), Agents: pick(rt, "agents", "00", "1", hex.EncodeToString(append([]byte{0x20}, make([]byte, 31)...))),
			Machines: pick(rt, "machines", "00", "01", "02"), Requests: pick(rt, "requests", "00", "01", "0a1", "0001", "000a", "00070"),
			Events: pick(rt, "events", "request", "exit", "denial", "x-none"), Reasons: pick(rt, "reasons", "exec_disabled", "trust_rejected"),
			States: pick(rt, "states", StateRunning, StateFailed, StateDenied, StateDone, StatePending),
			Since:  rapid.SampledFrom([]uint64{0, 0, 1020, 1050}).Draw(rt, "since"), Until: rapid.SampledFrom([]uint64{0, 0, 1060, 1051}).Draw(rt, "until"),
			Unreviewed: rapid.Bool().Draw(rt, "unreviewed"), Removed: rapid.Bool().Draw(rt, "removed"), OnlyRemoved: rapid.Bool().Draw(rt, "only removed"),
			Text: rapid.SampledFrom([]string{"", "", "git", "make", "Make", "über", "no such"}).Draw(rt, "text"),
		}
		if rapid.Bool().Draw(rt, "single") {
			f = rapid.SampledFrom([]Filter{
				{States: []string{StateFailed}}, {States: []string{StateDenied}}, {States: []string{StateRunning}}, {OnlyRemoved: true},
				{Agents: []string{"00"}}, {Agents: []string{"1", "2"}}, {Machines: []string{"0"}}, {Reasons: []string{"exec_disabled"}},
				{Events: []string{"denial"}}, {States: []string{StateFailed}, Removed: true}, {States: []string{StateFailed}, Since: 1030},
			}).Draw(rt, "filter")
		}
		q := TaskQuery{Filter: f, Oldest: rapid.Bool().Draw(rt, "oldest"), Limit: rapid.IntRange(1, 60).Draw(rt, "limit")}
		r.m.budget = rapid.SampledFrom([]int{1, 20, 200, scanBudget}).Draw(rt, "budget")
		var want, got []string
		for _, it := range all {
			if wants(f, it) {
				want = append(want, it.RequestID+it.Node)
			}
		}
		if q.Oldest {
			slices.Reverse(want)
		}
		for pages := 0; ; pages++ {
			page, err := r.m.Tasks(q)
			if err != nil {
				rt.Fatal(err)
			}
			for _, it := range page.Tasks {
				got = append(got, it.RequestID+it.Node)
			}
			if len(page.Tasks) < q.Limit && page.Next != "" && !page.Partial {
				rt.Fatalf("a page of %d of %d goes on, and does not say why", len(page.Tasks), q.Limit)
			}
			if page.Next == "" {
				break
			}
			if page.Next == q.After || pages > 2000 {
				rt.Fatal("the pages do not end")
			}
			q.After = page.Next
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("%+v: %d tasks, want %d", f, len(got), len(want))
		}
	})
}

// A cursor holds over a restart and a rebuild.
func TestCursorOverRebuild(t *testing.T) {
	reps := population(t, 60)
	r := reps[0]
	first, err := r.m.Tasks(TaskQuery{Limit: 20})
	if err != nil || first.Next == "" {
		t.Fatal(err, first.Next)
	}
	want, err := r.m.Tasks(TaskQuery{Limit: 20, After: first.Next})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		r.reopen(t)
		if i == 1 {
			if err := r.m.rebuild(); err != nil {
				t.Fatal(err)
			}
			r.fold(t)
		}
		got, err := r.m.Tasks(TaskQuery{Limit: 20, After: first.Next})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("round %d: %v: %s", i, err, fmt.Sprint(len(got.Tasks)))
		}
	}
	if _, err := r.m.Tasks(TaskQuery{Limit: 1, After: "nonsense"}); err == nil {
		t.Error("a cursor that no page gave out was taken")
	}
}

// BenchmarkScanBudget is what a page costs that finds nothing within its budget.
func BenchmarkScanBudget(b *testing.B) {
	r := newReplica(b, 1)
	code := int32(0)
	for i := range 20_000 {
		id, ts := event.RequestID{byte(i >> 16), byte(i >> 8), byte(i)}, uint64(1000+i)
		r.append(b, &event.Request{TSUnixMS: ts, RequestID: id, Argv: []string{"git", "status", "--short", "--branch", "."}},
			&event.Started{TSUnixMS: ts, RequestID: id, PID: uint32(i)}, &event.Exit{TSUnixMS: ts + 1, RequestID: id, Code: &code})
	}
	r.fold(b)
	for b.Loop() {
		if page, err := r.m.Tasks(TaskQuery{Limit: 100, Filter: Filter{Text: "no such"}}); err != nil || !page.Partial {
			b.Fatal(page, err)
		}
	}
}

// Which filters go through postings, and when they may not.
func TestScanFor(t *testing.T) {
	plain, ranges, successor := population(t, 30)[0], withRanges(t), withSuccessor(t)
	for name, c := range map[string]struct {
		r    *replica
		q    TaskQuery
		want taskScan
	}{
		"agent":               {plain, TaskQuery{Filter: Filter{Agents: []string{"0"}}}, &postingScan{}},
		"machine":             {plain, TaskQuery{Filter: Filter{Machines: []string{"00"}}}, &postingScan{}},
		"failed":              {plain, TaskQuery{Filter: Filter{States: []string{StateFailed}}}, &postingScan{}},
		"failed, denied":      {plain, TaskQuery{Filter: Filter{States: []string{StateFailed, StateDenied}}}, &postingScan{}},
		"running":             {plain, TaskQuery{Filter: Filter{States: []string{StateRunning}}}, &postingScan{}},
		"request":             {plain, TaskQuery{Filter: Filter{Requests: []string{"0001"}}}, &listScan{}},
		"short request":       {plain, TaskQuery{Filter: Filter{Requests: []string{"00"}}}, &timeScan{}},
		"removed":             {plain, TaskQuery{Filter: Filter{OnlyRemoved: true}}, &postingScan{}},
		"event":               {plain, TaskQuery{Filter: Filter{Events: []string{"x-deploy"}}}, &postingScan{}},
		"event of all":        {plain, TaskQuery{Filter: Filter{Events: []string{"request"}}}, &timeScan{}},
		"oldest":              {plain, TaskQuery{Oldest: true, Filter: Filter{Agents: []string{"0"}}}, &timeScan{}},
		"removed, ranges":     {ranges, TaskQuery{Filter: Filter{OnlyRemoved: true}}, &timeScan{}},
		"failed, ranges":      {ranges, TaskQuery{Filter: Filter{States: []string{StateFailed}}}, &postingScan{}},
		"running, ranges":     {ranges, TaskQuery{Filter: Filter{States: []string{StateRunning}}}, &timeScan{}},
		"agent, successor":    {successor, TaskQuery{Filter: Filter{Agents: []string{"00"}}}, &postingScan{}},
		"running, successor":  {successor, TaskQuery{Filter: Filter{States: []string{StateRunning}}}, &timeScan{}},
		"agent, and a reason": {plain, TaskQuery{Filter: Filter{Agents: []string{"0"}, Reasons: []string{"none"}}}, &postingScan{}},
	} {
		err := c.r.m.read(func(s *snapshot) error {
			scan, err := c.r.m.scanFor(s, c.q, nil)
			if err == nil {
				if got, want := fmt.Sprintf("%T", scan), fmt.Sprintf("%T", c.want); got != want {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
				scan.close()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
