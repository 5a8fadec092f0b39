package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"auditmesh/internal/api"
	"auditmesh/mirror"
)

// lines starts a command that goes on until the test ends, and reads what it prints.
func lines(t *testing.T, cmd *exec.Cmd) *bufio.Scanner {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(syscall.SIGKILL); cmd.Wait() })
	return bufio.NewScanner(out)
}

// log -f begins with what is there and goes on, each record of each log once and
// in order, also with what comes from a peer.
func TestLogFollows(t *testing.T) {
	nodes := newMesh(t, "a", "b")
	for _, n := range nodes {
		n.start()
	}
	a, b := nodes[0], nodes[1]
	a.appendN("there", 10)
	eventually(t, waitLimit, "both nodes converge", func() bool { return converged(nodes...) })
	sc := lines(t, b.command("log", "-f", "-n", "4", "--json", "--node", a.id[len(a.id)-8:]))
	next := func(want string) {
		t.Helper()
		if !sc.Scan() {
			t.Fatalf("it ended before %s: %v", want, sc.Err())
		}
		var l api.LogLine
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil || !strings.Contains(l.Line, want) || l.Node != a.id {
			t.Fatalf("%s, %v, want %s", sc.Bytes(), err, want)
		}
	}
	for i := 6; i < 10; i++ {
		next(fmt.Sprintf(`"label":"there","n":%d`, i))
	}
	b.appendN("not asked for", 5)
	a.appendN("new", 40)
	for i := range 40 {
		next(fmt.Sprintf(`"label":"new","n":%d`, i))
	}
}

// tasks -f begins with what is there and tells what a peer's tasks become, also
// that one no longer matches.
func TestTasksFollow(t *testing.T) {
	nodes := newMesh(t, "a", "b")
	for _, n := range nodes {
		n.start()
	}
	a, b := nodes[0], nodes[1]
	a.must("exec", "--", "true")
	eventually(t, waitLimit, "both nodes converge", func() bool { return converged(nodes...) })
	sc := lines(t, b.command("tasks", "-f", "--unreviewed", "--json"))
	next := func() (c mirror.Change) {
		t.Helper()
		if !sc.Scan() {
			t.Fatalf("it ended: %v", sc.Err())
		}
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil || c.Node != a.id {
			t.Fatalf("%s, %v", sc.Bytes(), err)
		}
		return c
	}
	if c := next(); c.Task == nil || c.Task.Argv[0] != "true" || c.Task.Outcome == nil {
		t.Fatalf("%+v", c)
	}
	a.must("exec", "--", "echo", "new")
	c := next()
	for c.Task == nil || c.Task.Outcome == nil { // as fast as they come
		c = next()
	}
	if c.Task.Argv[0] != "echo" {
		t.Errorf("%+v", c.Task)
	}
	b.must("review", "done", c.RequestID)
	if gone := next(); gone.Task != nil || gone.RequestID != c.RequestID {
		t.Errorf("%+v", gone)
	}
}
