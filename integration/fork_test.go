package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Fault 8 and 32: a log put back from a backup without its state is not signed
// any further, and the node does not start on it.
func TestRestoredLogIsRefused(t *testing.T) {
	n := newProc(t, "a")
	n.must("append", `{"event":"x-one"}`)
	backup := filepath.Join(t.TempDir(), "log")
	copyDir(t, filepath.Join(n.dir, "log"), backup)
	n.must("append", `{"event":"x-two"}`)
	if err := os.RemoveAll(filepath.Join(n.dir, "log")); err != nil {
		t.Fatal(err)
	}
	copyDir(t, backup, filepath.Join(n.dir, "log"))
	for _, args := range [][]string{{"run"}, {"append", `{"event":"x-three"}`}, {"verify"}} {
		out, err := n.command(args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "2 were signed") && !strings.Contains(string(out), "2 records, ") && !strings.Contains(string(out), "that 2 were signed") {
			t.Errorf("%v on a log put back: %v\n%s", args, err, out)
		}
	}
	if got := strings.Count(n.ownLines(), "\n"); got != 1 {
		t.Errorf("the log was changed: %d records", got)
	}
}

// Fault 27: log and state put back together are not to be noticed by the node
// itself. Its peers notice: the second past is refused, counted and kept, and
// what they hold stays as it was.
func TestSecondPastIsRefusedByPeers(t *testing.T) {
	nodes := newMesh(t, "a", "b", "c")
	for _, n := range nodes {
		n.start()
	}
	a, b, c := nodes[0], nodes[1], nodes[2]
	a.appendN("first", 5)
	eventually(t, waitLimit, "all hold the first part", func() bool { return converged(nodes...) })
	a.kill(syscall.SIGTERM)
	backup := filepath.Join(t.TempDir(), "a")
	copyDir(t, a.dir, backup)
	a.start()
	a.appendN("second", 5)
	eventually(t, waitLimit, "all hold both parts", func() bool { return converged(nodes...) })
	held := b.must("log", "--raw", "--node", a.id)
	a.kill(syscall.SIGKILL)
	if err := os.RemoveAll(a.dir); err != nil {
		t.Fatal(err)
	}
	copyDir(t, backup, a.dir)
	if err := os.RemoveAll(filepath.Join(a.dir, "api.sock")); err != nil {
		t.Fatal(err)
	}
	a.start()
	a.appendN("another second", 7)
	b.appendN("honest", 3)
	eventually(t, waitLimit, "both peers refuse the other past", func() bool {
		return b.deep().Counters["conflicts"] > 0 && c.deep().Counters["conflicts"] > 0
	})
	eventually(t, waitLimit, "the honest ones go on together", func() bool {
		return strings.Count(c.must("log", "--raw", "--node", b.id), "honest") == 3
	})
	for _, n := range []*proc{b, c} {
		if got := n.must("log", "--raw", "--node", a.id); got != held {
			t.Errorf("what %s holds of a changed", n.name)
		}
		if files, _ := filepath.Glob(filepath.Join(n.dir, "evidence", "*.json")); len(files) == 0 {
			t.Errorf("%s kept no evidence", n.name)
		}
		if out := n.must("status"); !strings.Contains(out, "Conflict") {
			t.Errorf("status of %s does not show the conflict:\n%s", n.name, out)
		}
		if out := n.must("peers"); strings.Count(out, "connected") != 2 {
			t.Errorf("%s is not connected to all, honest relayers among them:\n%s", n.name, out)
		}
	}
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
