package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// appendN appends events to a running node, a call each.
func (p *proc) appendN(label string, n int) {
	p.t.Helper()
	for i := range n {
		in := fmt.Sprintf(`{"event":"x-test","label":%q,"n":%d}`, label, i)
		out, err := p.client().Append(context.Background(), []byte(in))
		if err == nil {
			err = out[0].Err()
		}
		if err != nil {
			p.t.Errorf("%s: %v", p.name, err)
			return
		}
	}
}

// Fault 15, 17, 21: events on three nodes at once; one is stopped, then killed,
// and comes back; within ten seconds all have the same holdings and view, and
// the same bytes.
func TestThreeNodesConverge(t *testing.T) {
	nodes := newMesh(t, "a", "b", "c")
	for _, n := range nodes {
		n.start()
	}
	everybody := func(label string, list ...*proc) {
		var wg sync.WaitGroup
		for _, n := range list {
			wg.Go(func() {
				n.appendN(label, 50)
				if out, err := n.command("exec", "--", "sh", "-c", "echo "+label).CombinedOutput(); err != nil || string(out) != label+"\n" {
					t.Errorf("exec on %s: %v: %q", n.name, err, out)
				}
			})
		}
		wg.Wait()
	}
	everybody("all", nodes...)
	eventually(t, waitLimit, "three nodes converge", func() bool { return converged(nodes...) })
	nodes[2].signal(syscall.SIGSTOP)
	everybody("stopped", nodes[:2]...)
	nodes[2].kill(syscall.SIGKILL)
	everybody("killed", nodes[:2]...)
	nodes[2].start()
	eventually(t, 10*time.Second, "the node that was away has caught up", func() bool { return converged(nodes...) })
	sameBytes(t, nodes...)
	sameAsSimpleFold(t, nodes...)
	eventually(t, waitLimit, "each log is known to be held by the others", func() bool {
		for _, n := range nodes {
			for name, h := range n.deep().Vector {
				want := 1 // the third node
				if strings.HasPrefix(name, n.id) {
					want = 2
				}
				if h.HeldBy != want || h.LagRecords != 0 {
					return false
				}
			}
		}
		return true
	})
	everybody("again", nodes...)
	eventually(t, waitLimit, "live again", func() bool { return converged(nodes...) })
	sameBytes(t, nodes...)
	for _, n := range nodes {
		eventually(t, waitLimit, "all of the own log is published", func() bool {
			st := n.deep()
			return st.Published == st.Size && st.Published > 0
		})
		st := n.deep()
		if st.Counters["invalid"]+st.Counters["conflicts"]+st.Counters["own_log_ahead"] > 0 {
			t.Errorf("%s counted faults among honest nodes: %v", n.name, st.Counters)
		}
		if out := n.must("verify"); strings.Contains(out, "NOT OK") || strings.Count(out, "ok ") != 3 {
			t.Errorf("verify on %s:\n%s", n.name, out)
		}
	}
	// The view is derived: deleted, it is rebuilt to the same hash.
	want := nodes[0].deep().ViewHash
	nodes[0].kill(syscall.SIGTERM)
	if err := os.RemoveAll(filepath.Join(nodes[0].dir, "view")); err != nil {
		t.Fatal(err)
	}
	nodes[0].start()
	eventually(t, waitLimit, "the view is rebuilt", func() bool { return nodes[0].deep().ViewHash == want })
}

// Fault 15 and 19: kill -9 in the middle of writing, twenty times. Every
// acknowledged event is in the file and in the other nodes' views, none twice.
func TestKillNine(t *testing.T) {
	nodes := newMesh(t, "a", "b")
	for _, n := range nodes {
		n.start()
	}
	a, b := nodes[0], nodes[1]
	acked := map[string]bool{}
	positions := map[uint64]string{}
	for round := range 20 {
		var mu sync.Mutex
		count := 0
		enough := make(chan struct{})
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					label := fmt.Sprintf("r%d-w%d-%d", round, w, i)
					out, err := a.client().Append(context.Background(), []byte(fmt.Sprintf(`{"event":"x-k","label":%q}`, label)))
					if err != nil || out[0].Err() != nil {
						return // the node is gone
					}
					mu.Lock()
					acked[label] = true
					if other := positions[out[0].Seq]; other != "" {
						t.Errorf("seq %d was given to %s and to %s", out[0].Seq, other, label)
					}
					positions[out[0].Seq] = label
					if count++; count == 20+5*round {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		a.kill(syscall.SIGKILL)
		wg.Wait()
		a.start()
	}
	eventually(t, waitLimit, "both nodes converge", func() bool { return converged(nodes...) })
	sameBytes(t, nodes...)
	sameAsSimpleFold(t, nodes...)
	held := b.must("log", "--node", a.id, "--raw")
	lines := strings.Split(strings.TrimSuffix(held, "\n"), "\n")
	for label := range acked {
		if n := strings.Count(held, `"`+label+`"`); n != 1 {
			t.Errorf("%s was acknowledged and is held %d times", label, n)
		}
	}
	for seq, label := range positions {
		if !strings.Contains(lines[seq], `"`+label+`"`) {
			t.Errorf("record %d is %s, acknowledged was %s", seq, lines[seq], label)
		}
	}
	if st := b.deep(); st.Counters["conflicts"] > 0 {
		t.Errorf("a node that was killed contradicted itself: %v", st.Conflicts)
	}
	t.Logf("%d events acknowledged over 20 kills, %d held", len(acked), len(lines))
}

// The golden lines as an existing log, on two nodes at once.
func TestAdoptionOnTwoNodes(t *testing.T) {
	golden, err := os.ReadFile("../audit/event/testdata/golden/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	nodes := newMesh(t, "a", "b", "c")
	for _, n := range nodes[:2] {
		if err := os.MkdirAll(filepath.Join(n.dir, "log"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(n.dir, "log", "audit.jsonl"), golden, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		n.start()
	}
	eventually(t, waitLimit, "both logs are everywhere", func() bool { return converged(nodes...) && len(nodes[2].deep().Vector) == 2 })
	sameBytes(t, nodes[:2]...)
	if got := nodes[2].must("log", "--node", nodes[1].id, "--raw"); got != string(golden) {
		t.Error("the adopted lines changed on their way")
	}
	sameAsSimpleFold(t, nodes...)
	// The third reviews a task of the first's; the second's of the same request
	// stays as it is.
	if out, err := nodes[2].command("review", "claim", "0000000000000044").CombinedOutput(); err == nil || !strings.Contains(string(out), "2 tasks") {
		t.Errorf("review of one of two tasks without naming the node: %v: %s", err, out)
	}
	nodes[2].must("review", "--by", "ada", "--node", nodes[0].id, "done", "0000000000000044")
	eventually(t, waitLimit, "the review is everywhere", func() bool { return converged(nodes...) && len(nodes[0].deep().Vector) == 3 })
	sameAsSimpleFold(t, nodes...)
	if shown := nodes[0].must("show", "0000000000000044"); strings.Count(shown, "done by ada") != 1 || strings.Count(shown, "denied: exec_disabled") != 2 {
		t.Errorf("the reviewed task, as its node shows it:\n%s", shown)
	}
	a, b := nodes[0].deep(), nodes[1].deep()
	if a.Log != b.Log || a.Node == b.Node || *a.Tasks != 160 {
		t.Errorf("one log id under two nodes, and each its own 80 tasks: %s %s, %d tasks", a.Log, b.Log, *a.Tasks)
	}
}

// Fault 20: SIGTERM ends the node with exit status 0 within seconds, and what it
// acknowledged is there.
func TestTermination(t *testing.T) {
	n := newProc(t, "a")
	n.start()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	acked := 0
	wg.Go(func() {
		for {
			out, err := n.client().Append(context.Background(), []byte(`{"event":"x-t"}`))
			if err != nil || out[0].Err() != nil {
				return
			}
			if acked++; acked == 50 {
				close(stop)
			}
		}
	})
	<-stop
	begin := time.Now()
	if err := n.kill(syscall.SIGTERM); err != nil {
		t.Errorf("the node ended with %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	wg.Wait()
	if got := strings.Count(n.ownLines(), "\n"); got < acked {
		t.Errorf("%d records, %d were acknowledged", got, acked)
	}
	if out := n.must("verify"); !strings.Contains(out, fmt.Sprintf("%d signed", strings.Count(n.ownLines(), "\n"))) {
		t.Errorf("not all is signed at the end: %s", out)
	}
}

// Without a node, append and exec open the log themselves; with one, a second
// instance is refused.
func TestWithoutANode(t *testing.T) {
	n := newProc(t, "a")
	n.must("append", `{"event":"x-a"}`)
	n.must("exec", "--", "true")
	if got := strings.Count(n.ownLines(), "\n"); got != 4 {
		t.Errorf("%d records, want 4:\n%s", got, n.ownLines())
	}
	pipe := n.command("append")
	pipe.Stdin = strings.NewReader("{\"event\":\"x-b\"}\n\n{\"event\":\"x-c\"}") // a pipe, at the process
	if out, err := pipe.CombinedOutput(); err != nil || strings.Count(string(out), "\n") != 2 {
		t.Errorf("append from a pipe: %v: %s", err, out)
	}
	out, err := n.command("tasks").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "auditmesh run") {
		t.Errorf("tasks without a node: %v: %s", err, out)
	}
	n.start()
	second, err := n.command("run").CombinedOutput()
	if err == nil || !bytes.Contains(second, []byte(fmt.Sprint(n.cmd.Process.Pid))) {
		t.Errorf("a second node: %v: %s", err, second)
	}
	if got := n.deep(); *got.Tasks != 1 {
		t.Errorf("%d tasks", *got.Tasks)
	}
}
