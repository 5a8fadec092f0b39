package mirror

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	badger "github.com/dgraph-io/badger"
	"pgregory.net/rapid"

	"auditmesh/audit"
	"auditmesh/crdt"
)

// population makes two replicas with tasks of all kinds, many at the same time.
func population(t *testing.T, tasks int) []*replica {
	t.Helper()
	reps := []*replica{newReplica(t, 1), newReplica(t, 2)}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range tasks {
		r := reps[rng.IntN(2)]
		id := audit.RequestID{byte(i >> 8), byte(i), byte(rng.IntN(3))}
		ts := uint64(1000 + rng.IntN(tasks/3))
		agent, machine := audit.PartyID{byte(rng.IntN(4) << 4)}, audit.PartyID{byte(rng.IntN(3))}
		argv := []string{[]string{"git", "Make", "ls"}[rng.IntN(3)], []string{"status", "-la", "Über Maß"}[rng.IntN(3)]}
		if rng.IntN(5) == 0 {
			r.append(t, &audit.Denial{TSUnixMS: ts, RequestID: id, AgentID: agent, MachineID: machine, Argv: argv, Reason: []string{"exec_disabled", "trust_rejected"}[rng.IntN(2)]})
		} else {
			r.append(t, &audit.Request{TSUnixMS: ts, RequestID: id, AgentID: agent, MachineID: machine, Argv: argv})
			if rng.IntN(3) > 0 {
				r.append(t, &audit.Started{TSUnixMS: ts + 1, RequestID: id, PID: uint32(i)})
			}
			if code := int32(rng.IntN(2)); rng.IntN(2) == 0 {
				r.append(t, &audit.Exit{TSUnixMS: ts + uint64(rng.IntN(50)), RequestID: id, Code: &code})
			}
		}
		switch rng.IntN(8) {
		case 0:
			r.append(t, &audit.TaskRemoved{TSUnixMS: ts, RequestID: &id, Reason: "old"})
		case 1:
			reps[0].append(t, &audit.Reviewed{Completed: true, TSUnixMS: ts, Node: peerOf(byte(1 + slices.Index(reps, r))), RequestID: id, By: "ada"})
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
	reps := population(t, 300)
	r := reps[0]
	var all []crdt.Item
	if err := r.m.read(func(s *store, txn *badger.Txn) error {
		e := newEnv(s, txn)
		defer e.close()
		for _, node := range s.allNodes() {
			if err := e.eachTask(node, func(task *crdt.Task) error { all = append(all, task.Item(e)); return nil }); err != nil {
				return err
			}
		}
		return e.fail
	}); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b crdt.Item) int { // newest first; one log a node here
		if a.Time != b.Time {
			return int(int64(b.Time) - int64(a.Time))
		}
		if c := strings.Compare(b.Node, a.Node); c != 0 {
			return c
		}
		return int(int64(lowest(b)) - int64(lowest(a)))
	})
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

func lowest(it crdt.Item) uint64 {
	low := uint64(1 << 63)
	for _, r := range it.Records {
		if !r.Removed || !it.Present {
			low = min(low, r.Seq)
		}
	}
	return low
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
		id, ts := audit.RequestID{byte(i >> 16), byte(i >> 8), byte(i)}, uint64(1000+i)
		r.append(b, &audit.Request{TSUnixMS: ts, RequestID: id, Argv: []string{"git", "status", "--short", "--branch", "."}},
			&audit.Started{TSUnixMS: ts, RequestID: id, PID: uint32(i)}, &audit.Exit{TSUnixMS: ts + 1, RequestID: id, Code: &code})
	}
	r.fold(b)
	for b.Loop() {
		if page, err := r.m.Tasks(TaskQuery{Limit: 100, Filter: Filter{Text: "no such"}}); err != nil || !page.Partial {
			b.Fatal(page, err)
		}
	}
}
