package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The view's database deleted, truncated and filled with noise, while the other
// nodes go on: the node rebuilds it by itself to the same holdings and view hash,
// also where it is pulled from under the running node's feet.
func TestViewIsRebuiltInMesh(t *testing.T) {
	nodes := newMesh(t, "a", "b", "c")
	for _, n := range nodes {
		n.start()
	}
	next := 0
	work := func(n *proc) {
		t.Helper()
		n.must("exec", "--", "true", fmt.Sprint(next))
		next++
	}
	for range 5 {
		for _, n := range nodes {
			work(n)
		}
	}
	eventually(t, waitLimit, "three nodes converge", func() bool { return converged(nodes...) })
	victim := nodes[0]
	view := filepath.Join(victim.dir, "view")
	eachFile := func(change func(path string) error) {
		t.Helper()
		files, err := filepath.Glob(view + "/*")
		if err != nil || len(files) == 0 {
			t.Fatalf("%d files in %s, %v", len(files), view, err)
		}
		for _, f := range files {
			if err := change(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, spoil := range []struct {
		name string
		do   func()
	}{
		{"deleted", func() { eachFile(os.Remove) }},
		{"truncated", func() { eachFile(func(f string) error { return os.Truncate(f, 10) }) }},
		{"noise", func() {
			eachFile(func(f string) error { return os.WriteFile(f, bytes.Repeat([]byte("noise"), 2000), 0o600) })
		}},
	} {
		for _, running := range []bool{false, true} {
			if !running {
				if err := victim.kill(syscall.SIGKILL); err == nil {
					t.Fatal("killed, and it ended well")
				}
			}
			spoil.do()
			work(nodes[1]) // while it is away, or its view is
			work(nodes[2])
			if running {
				if err := victim.kill(syscall.SIGKILL); err == nil {
					t.Fatal("killed, and it ended well")
				}
			}
			victim.start()
			what := fmt.Sprintf("%s, the node running: %v", spoil.name, running)
			eventually(t, waitLimit, what, func() bool { return converged(nodes...) })
			work(victim)
			eventually(t, waitLimit, what+", and more", func() bool { return converged(nodes...) })
		}
	}
	sameAsSimpleFold(t, nodes...)
	sameBytes(t, nodes...)
}
