package mirror

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/crdt"
	"auditmesh/crdt/crdttest"
	"auditmesh/mirror/rows"
)

func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func peerOf(n byte) string { return merkle.PeerID(testKey(n).Public().(ed25519.PublicKey)) }

// replica is one node's holdings and view, without a network.
type replica struct {
	dir string
	log *audit.Log
	h   *holdings.Holdings
	m   *Mirror
}

func logOptions(dir string, seed byte) audit.Options {
	return audit.Options{Path: dir + "/log/audit.jsonl", SignedPath: dir + "/state/signed.json", Key: testKey(seed), SegmentBytes: 16 << 10}
}

func newReplica(t testing.TB, seed byte) *replica {
	t.Helper()
	dir := t.TempDir()
	o := logOptions(dir, seed)
	if err := audit.InitSignedState(disk.OS{}, o.SignedPath, peerOf(seed)); err != nil {
		t.Fatal(err)
	}
	r := &replica{dir: dir}
	var err error
	if r.log, err = audit.OpenOrCreate(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.log.Close() })
	r.open(t)
	t.Cleanup(func() { r.m.Close() })
	return r
}

func (r *replica) open(t testing.TB) {
	t.Helper()
	var err error
	if r.h, err = holdings.Open(holdings.Options{FS: disk.OS{}, Dir: r.dir + "/copies", Evidence: r.dir + "/evidence", Own: r.log, SegmentBytes: 16 << 10, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if r.m, err = Open(r.dir+"/view", r.h, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

func (r *replica) reopen(t testing.TB) {
	t.Helper()
	if err := r.m.Close(); err != nil {
		t.Fatal(err)
	}
	r.open(t)
}

func (r *replica) append(t testing.TB, events ...event.Event) {
	t.Helper()
	if _, err := r.log.AppendBatch(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

func (r *replica) fold(t testing.TB) {
	t.Helper()
	if err := r.m.foldAll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// pull takes over all that another replica holds.
func (r *replica) pull(t testing.TB, from *replica) {
	t.Helper()
	if err := from.log.Sign(); err != nil {
		t.Fatal(err)
	}
	for _, s := range from.h.Offered() {
		have := uint64(0)
		if l, ok := r.h.Log(s.Name); ok {
			have = l.Size()
		}
		for have < s.Size {
			b, err := from.h.Batch(s.Name, have)
			if err != nil {
				t.Fatal(err)
			}
			v, err := b.Verify()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.h.Extend(v); err != nil {
				t.Fatal(err)
			}
			if s.Name.Peer == holdings.NameOf(r.log).Peer {
				break
			}
			have = v.End()
		}
	}
}

func (r *replica) deep(t testing.TB) (holdings, view merkle.Hash, tasks uint64) {
	t.Helper()
	st, view, tasks, err := r.m.Deep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Holdings, view, tasks
}

// reference folds all held lines with the in-memory list of package crdt.
func (r *replica) reference(t testing.TB) merkle.Hash {
	t.Helper()
	list := crdt.NewTaskList(new(crdt.MemoryStore))
	for _, l := range r.h.Logs() {
		rd := l.Reader(l.First())
		defer rd.Close()
		for {
			rec, err := rd.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, err := event.Decode(rec.Line); err == nil {
				if op, ok := rows.Operation(rows.LogOf(holdings.NameOf(l)), rec.Seq, e); ok {
					if err := list.Apply(op); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	newest, err := crdttest.Newest(list)
	if err != nil {
		t.Fatal(err)
	}
	items := map[string]crdt.Item{}
	var keys []string
	for _, it := range newest {
		key := it.Node + it.RequestID
		items[key] = it
		keys = append(keys, key)
	}
	h := sha256.New()
	fmt.Fprintf(h, "auditmesh view v1\n")
	slices.Sort(keys)
	for _, key := range keys {
		raw, err := json.Marshal(items[key], json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		h.Write(append(raw, '\n'))
	}
	return merkle.Hash(h.Sum(nil))
}

func request(n byte, ts uint64, argv ...string) *event.Request {
	return &event.Request{TSUnixMS: ts, RequestID: event.RequestID{n}, Argv: argv}
}

func exit(n byte, ts uint64, code int32) *event.Exit {
	return &event.Exit{TSUnixMS: ts, RequestID: event.RequestID{n}, Code: &code}
}

func TestFoldAndQuery(t *testing.T) {
	a, b := newReplica(t, 1), newReplica(t, 2)
	a.append(t, request(1, 100, "ls"), &event.Started{TSUnixMS: 101, RequestID: event.RequestID{1}, PID: 7}, exit(1, 102, 0))
	a.append(t, request(2, 200, "vim"))
	b.append(t, request(1, 150, "make"), exit(1, 151, 2))
	a.pull(t, b)
	b.pull(t, a)
	for _, r := range []*replica{a, b} {
		r.fold(t)
		page, err := r.m.Tasks(TaskQuery{Limit: 10})
		if err != nil || len(page.Tasks) != 3 || page.Next != "" {
			t.Fatalf("%+v, %v", page, err)
		}
		for i, want := range []string{"vim", "make", "ls"} {
			if page.Tasks[i].Argv[0] != want {
				t.Errorf("task %d is %v, want %s", i, page.Tasks[i].Argv, want)
			}
		}
		if it := page.Tasks[2]; it.State != crdt.Done || *it.PID != 7 || *it.Outcome.Code != 0 {
			t.Errorf("%+v", it)
		}
		one, err := r.m.Tasks(TaskQuery{Limit: 1, Filter: Filter{Nodes: []string{peerOf(1)}}})
		if err != nil || len(one.Tasks) != 1 || one.Next == "" {
			t.Fatalf("%+v, %v", one, err)
		}
		two, err := r.m.Tasks(TaskQuery{Limit: 5, Filter: Filter{Nodes: []string{peerOf(1)}}, After: one.Next})
		if err != nil || len(two.Tasks) != 1 || two.Tasks[0].Argv[0] != "ls" || two.Next != "" {
			t.Fatalf("%+v, %v", two, err)
		}
		if both, err := r.m.Task("0100", 10); err != nil || len(both) != 2 {
			t.Errorf("both sides of a request: %+v, %v", both, err)
		}
		if _, err := r.m.Task("01", 10); err == nil {
			t.Error("a short prefix was accepted")
		}
		refs, vector, err := r.m.Newest(t.Context(), Filter{}, 3)
		if err != nil || len(refs) != 3 || refs[0].Time != 200 || refs[1].Time != 151 || len(vector) != 2 {
			t.Errorf("%+v %v %v", refs, vector, err)
		}
	}
	ha, va, na := a.deep(t)
	hb, vb, nb := b.deep(t)
	if ha != hb || va != vb || na != 3 || nb != 3 || va != a.reference(t) {
		t.Errorf("holdings %s %s, views %s %s, reference %s", ha, hb, va, vb, a.reference(t))
	}
}

// A restart goes on where the cursors say; the database deleted, damaged or of
// another schema, it is rebuilt to the same view hash.
func TestRestartAndRebuild(t *testing.T) {
	a := newReplica(t, 1)
	for i := range byte(200) {
		a.append(t, request(i, uint64(i), "x"), exit(i, uint64(i)+5, 0))
	}
	a.append(t, &event.Application{EventName: "x-a", Body: []byte(`{"event":"x-a","ts_unix_ms":1}`)})
	a.fold(t)
	_, want, _ := a.deep(t)
	a.reopen(t)
	if _, got, _ := a.deep(t); got != want {
		t.Error("the view changed over a restart")
	}
	a.append(t, request(201, 1, "y"))
	a.fold(t)
	_, want, _ = a.deep(t)
	view := a.dir + "/view"
	for name, spoil := range map[string]func(){
		"deleted": func() { os.RemoveAll(view) },
		"noise": func() {
			files, _ := filepath.Glob(view + "/*")
			for _, f := range files {
				os.WriteFile(f, bytes.Repeat([]byte("noise"), 1000), 0o600)
			}
		},
		"truncated": func() {
			files, _ := filepath.Glob(view + "/*")
			for _, f := range files {
				info, _ := os.Stat(f)
				os.Truncate(f, info.Size()/2)
			}
		},
		"manifest gone": func() { os.Remove(view + "/MANIFEST") },
	} {
		t.Run(name, func(t *testing.T) {
			if err := a.m.Close(); err != nil {
				t.Fatal(err)
			}
			spoil()
			a.open(t)
			a.fold(t)
			if _, got, n := a.deep(t); got != want || n != 201 {
				t.Errorf("%d tasks, hash %s, want %s", n, got, want)
			}
		})
	}
}

// Removals with as many ranges as a line has room for, one after the other, keep
// neither their own log nor another from being folded.
func TestManyRanges(t *testing.T) {
	a, b := newReplica(t, 1), newReplica(t, 2)
	a.append(t, request(1, 1, "kept"), request(2, 2, "gone"))
	log := event.PartyID(holdings.NameOf(a.log).ID)
	removal := &event.TaskRemoved{TSUnixMS: 3, Reason: "hostile"}
	for i := range uint64(9000) {
		removal.Ranges = append(removal.Ranges, event.SeqRange{Log: log, First: 2*i + 1, End: 2*i + 2})
	}
	a.append(t, removal)
	a.append(t, removal, request(3, 4, "after"))
	of := &event.TaskRemoved{TSUnixMS: 3, Reason: "of many logs"}
	for i := range 7000 {
		of.Ranges = append(of.Ranges, event.SeqRange{Log: event.PartyID{byte(i), byte(i >> 8)}, First: 0, End: 9})
	}
	a.append(t, of)
	b.append(t, request(4, 5, "other"))
	a.pull(t, b)
	a.fold(t)
	page, err := a.m.Tasks(TaskQuery{Limit: 9})
	if err != nil || len(page.Tasks) != 3 {
		t.Fatalf("%d tasks, %v", len(page.Tasks), err)
	}
	if _, view, _ := a.deep(t); view != a.reference(t) {
		t.Error("the view is not that of the reference")
	}
	for more := true; more; { // as retention takes them out
		if more, err = a.m.undoStep(a.log, a.log.Size()); err != nil {
			t.Fatal(err)
		}
	}
	if left := a.rows(t); left['r']+left['x'] > 0 || left['i'] != 1 {
		t.Errorf("rows that are left: %v", left)
	}
}

// A database that another process has open is not taken for a damaged one.
func TestViewInUse(t *testing.T) {
	a := newReplica(t, 1)
	a.append(t, request(1, 1, "x"))
	a.fold(t)
	if m, err := Open(a.dir+"/view", a.h, slog.New(slog.DiscardHandler)); err == nil {
		m.Close()
		t.Fatal("opened twice")
	}
	if _, _, n := a.deep(t); n != 1 {
		t.Errorf("%d tasks are left", n)
	}
}

// Run folds what is appended, without being asked, and ends with its context.
func TestRun(t *testing.T) {
	a := newReplica(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.m.Run(ctx) }()
	wake, stop := a.m.Subscribe()
	defer stop()
	a.append(t, request(1, 1, "x"))
	for {
		if page, err := a.m.Tasks(TaskQuery{Limit: 1}); err != nil {
			t.Fatal(err)
		} else if len(page.Tasks) == 1 {
			break
		}
		<-wake
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A view that is ahead of the files was made of others: it is rebuilt by Run.
func TestContradictionIsRebuilt(t *testing.T) {
	a, b := newReplica(t, 1), newReplica(t, 2)
	b.append(t, request(1, 1, "x"), request(2, 2, "y"))
	a.pull(t, b)
	a.fold(t)
	name := holdings.NameOf(b.log)
	if err := os.RemoveAll(audit.CopyDir(a.dir+"/copies", name)); err != nil {
		t.Fatal(err)
	}
	a.reopen(t)
	c := newReplica(t, 2) // the same log, with less in it
	c.append(t, request(1, 1, "x"))
	a.pull(t, c)
	if err := a.m.foldAll(t.Context()); err == nil {
		t.Fatal("a view ahead of its files was not noticed")
	}
	if err := a.m.rebuild(); err != nil {
		t.Fatal(err)
	}
	a.fold(t)
	if _, got, n := a.deep(t); n != 1 || got != a.reference(t) {
		t.Errorf("%d tasks after the rebuild", n)
	}
}

func TestConflictLeavesEvidence(t *testing.T) {
	a, b, forked := newReplica(t, 1), newReplica(t, 2), newReplica(t, 2)
	b.append(t, request(1, 1, "x"), request(2, 2, "y"))
	forked.append(t, request(1, 1, "x"), request(3, 2, "z"))
	a.pull(t, b)
	a.pullAnyway(t, forked)
	if n := a.h.Conflicts()[holdings.NameOf(b.log)]; n != 1 {
		t.Errorf("%d conflicts counted", n)
	}
	if files, _ := filepath.Glob(a.dir + "/evidence/*.evidence.json"); len(files) != 1 {
		t.Errorf("evidence: %v", files)
	}
}

// pullAnyway applies all batches of another replica, whatever is held already.
func (r *replica) pullAnyway(t testing.TB, from *replica) {
	t.Helper()
	if err := from.log.Sign(); err != nil {
		t.Fatal(err)
	}
	for _, s := range from.h.Offered() {
		b, err := from.h.Batch(s.Name, 0)
		if err != nil {
			t.Fatal(err)
		}
		v, err := b.Verify()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.h.Extend(v); err != nil {
			t.Fatal(err)
		}
	}
}

// The store, in any order of pulls and folds, shows what the reference shows.
func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		reps := []*replica{newReplica(t, 1), newReplica(t, 2), newReplica(t, 3)}
		defer func() { // now, and not with the test: a hundred databases would be open
			for _, r := range reps {
				if err := errors.Join(r.m.Close(), r.log.Close()); err != nil {
					t.Error(err)
				}
			}
		}()
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			i := rapid.IntRange(0, 2).Draw(rt, "replica")
			r := reps[i]
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0, 1:
				r.append(t, drawEvent(rt, reps))
			case 2:
				r.pull(t, reps[rapid.IntRange(0, 2).Draw(rt, "from")])
			case 3:
				r.fold(t)
			case 4:
				r.reopen(t)
			}
		}
		for range 2 {
			for _, r := range reps {
				for _, from := range reps {
					r.pull(t, from)
				}
			}
		}
		var hashes []string
		for _, r := range reps {
			r.fold(t)
			h, v, _ := r.deep(t)
			if want := r.reference(t); v != want {
				rt.Fatalf("view %s, the reference gives %s", v, want)
			}
			hashes = append(hashes, h.String()+v.String())
		}
		if hashes[0] != hashes[1] || hashes[1] != hashes[2] {
			rt.Fatalf("no convergence: %v", hashes)
		}
	})
}

func drawEvent(t *rapid.T, reps []*replica) event.Event {
	id := event.RequestID{rapid.ByteRange(1, 3).Draw(t, "id")}
	ts := rapid.Uint64Range(1, 5).Draw(t, "ts")
	node := peerOf(rapid.ByteRange(1, 3).Draw(t, "node"))
	var dots []event.Dot
	for _, r := range reps {
		if n := r.log.Size(); n > 0 {
			dots = append(dots, event.Dot{Node: holdings.NameOf(r.log).Peer, Log: event.PartyID(holdings.NameOf(r.log).ID), Seq: rapid.Uint64Range(0, n-1).Draw(t, "seq")})
		}
	}
	switch rapid.IntRange(0, 7).Draw(t, "event") {
	case 0:
		return &event.Started{TSUnixMS: ts, RequestID: id, PID: 3}
	case 1:
		code := int32(1)
		return &event.Exit{TSUnixMS: ts, RequestID: id, Code: &code}
	case 2:
		return &event.TaskRemoved{TSUnixMS: ts, RequestID: &id, Reason: "r"}
	case 3:
		if len(dots) > 0 {
			d := rapid.SampledFrom(dots).Draw(t, "dot")
			return &event.TaskRemoved{TSUnixMS: ts, Ranges: []event.SeqRange{{Log: d.Log, First: d.Seq / 2, End: d.Seq + 1}}}
		}
	case 4:
		return &event.Reviewed{Completed: ts > 3, TSUnixMS: ts, Node: node, RequestID: id, By: "b"}
	case 5:
		return &event.TaskReleased{TSUnixMS: ts, Node: node, RequestID: id, Replaces: dots}
	case 6:
		return &event.TaskNoted{TSUnixMS: ts, Node: node, RequestID: id, Field: "note", Value: "v", Replaces: dots}
	}
	return &event.Request{TSUnixMS: ts, RequestID: id, Argv: []string{"a"}}
}
