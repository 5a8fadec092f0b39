package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Fault 8 and 32: a log put back from a backup without its state, while nobody is
// there, is found by verify, and not signed any further: the node goes on in a
// successor by itself, and takes back from its peers what is missing of the old
// one, byte for byte. The same for a log that is gone.
func TestRestoredLog(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("gone=%v", gone), func(t *testing.T) {
			nodes := newMesh(t, "a", "b")
			a, b := nodes[0], nodes[1]
			a.start()
			b.start()
			a.appendN("first", 5)
			a.kill(syscall.SIGTERM)
			log, backup := filepath.Join(a.dir, "log"), filepath.Join(t.TempDir(), "log")
			copyDir(t, log, backup)
			a.start()
			a.appendN("second", 5)
			eventually(t, waitLimit, "the peer has all", func() bool { return converged(nodes...) })
			before := a.ownLines()
			a.kill(syscall.SIGTERM)
			if err := os.RemoveAll(log); err != nil {
				t.Fatal(err)
			}
			if !gone {
				copyDir(t, backup, log)
				out, err := a.command("verify").CombinedOutput()
				if err == nil || !strings.Contains(string(out), "10 were signed") && !strings.Contains(string(out), "that 10") {
					t.Errorf("verify of a log put back: %v\n%s", err, out)
				}
			}
			b.kill(syscall.SIGTERM) // offline, at first
			a.start()
			a.appendN("third", 5)
			lines := strings.Split(a.ownLines(), "\n")
			if !strings.HasPrefix(lines[0], `{"event":"log_succeeded"`) || !strings.Contains(lines[0], `"size":10`) || strings.Count(a.ownLines(), "third") != 5 {
				t.Errorf("the successor:\n%s", strings.Join(lines, "\n"))
			}
			b.start()
			eventually(t, waitLimit, "all converge, the old log included", func() bool { return convergedOn(16, nodes...) })
			for _, n := range nodes {
				if got := n.must("log", "--raw", "--node", a.id); !strings.Contains(got, before) || strings.Count(got, "\n") != strings.Count(before, "\n")+6 {
					t.Errorf("%s holds of a:\n%s", n.name, got)
				}
			}
			sameAsSimpleFold(t, nodes...)
			if out := a.must("verify"); strings.Contains(out, "NOT OK") {
				t.Errorf("verify:\n%s", out)
			}
			a.kill(syscall.SIGTERM)
			a.start() // and goes on in it
			if got := a.deep(); got.Size != 6 || len(got.Vector) != 2 {
				t.Errorf("after a restart: %d records, %v", got.Size, got.Vector)
			}
		})
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
