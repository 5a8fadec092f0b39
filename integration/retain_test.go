package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"auditmesh/internal/api"
)

// heldOf is what a node says of the log of another.
func (p *proc) heldOf(owner *proc) (h api.Held) {
	for name, held := range p.deep().Vector {
		if strings.HasPrefix(name, owner.id+"/") {
			h = held
		}
	}
	return h
}

// A node keeps little of its log, another keeps all, and one that comes after the
// beginning is gone has the rest: each view is the fold of what its node holds,
// before and after a restart that rebuilds it.
func TestRetentionInMesh(t *testing.T) {
	nodes := newMesh(t, "brief", "keeper", "late")
	brief, keeper, late := nodes[0], nodes[1], nodes[2]
	raw, err := os.ReadFile(filepath.Join(brief.dir, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	brief.configure("segment_bytes = 65536\n" + string(raw) + "\n[retain]\nsegments = 2\n")
	brief.start()
	keeper.start()
	appendTasks := func(from, to int) {
		t.Helper()
		var in bytes.Buffer
		for i := from; i < to; i++ {
			fmt.Fprintf(&in, `{"event":"request","ts_unix_ms":%d,"request_id":"%032x","agent_id":"%064x","machine_id":"%064x","argv":["job","%d"],"matched_acl":null,"stdin_bytes":0,"timeout_ms":0}`+"\n", 1000+i, i, 1, 1, i)
		}
		cmd := brief.command("append")
		cmd.Stdin = &in
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for i := range 20 { // a commit is never cut by the end of a segment
		appendTasks(50*i, 50*i+50)
	}
	eventually(t, waitLimit, "the keeper has all", func() bool { return keeper.heldOf(brief).Size == 1000 })
	eventually(t, waitLimit, "the brief one's beginning is gone", func() bool { return brief.heldOf(brief).First > 400 })
	if err := keeper.kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	first := brief.heldOf(brief).First
	if got := brief.must("tasks", "--lines", "1000"); strings.Contains(got, "job 3\n") || !strings.Contains(got, "job 999") {
		t.Errorf("the tasks of the brief one:\n%.600s", got)
	}
	late.start()
	eventually(t, waitLimit, "the late one has the rest", func() bool {
		h := late.heldOf(brief)
		return h.First == first && h.Size == 1000
	})
	checkRetained(t, brief, brief)
	checkRetained(t, late, brief)
	if a, b := brief.deep(), late.deep(); a.Holdings != b.Holdings || a.ViewHash != b.ViewHash {
		t.Errorf("equal holdings have equal views: %s %s, %s %s", a.Holdings, a.ViewHash, b.Holdings, b.ViewHash)
	}
	keeper.start()
	appendTasks(1000, 1100)
	for _, n := range nodes {
		eventually(t, waitLimit, n.name+" has the newest", func() bool { return n.heldOf(brief).Size == 1100 })
	}
	if h := keeper.heldOf(brief); h.First != 0 || h.Missing != 0 {
		t.Errorf("the keeper has %+v", h)
	}
	for _, n := range nodes {
		if err := n.kill(syscall.SIGKILL); err == nil {
			t.Fatal("killed, and it ended well")
		}
		if err := os.RemoveAll(filepath.Join(n.dir, "view")); err != nil {
			t.Fatal(err)
		}
		n.start()
		eventually(t, waitLimit, n.name+" is rebuilt", func() bool { return n.heldOf(brief).Size == 1100 })
		checkRetained(t, n, brief)
	}
	if a, b := brief.deep(), late.deep(); a.ViewHash == b.ViewHash != (a.Holdings == b.Holdings) {
		t.Errorf("after the rebuild: %s %s, %s %s", a.Holdings, a.ViewHash, b.Holdings, b.ViewHash)
	}
	if out := brief.must("verify"); !strings.Contains(out, "1100") {
		t.Errorf("verify: %s", out)
	}
}

// checkRetained checks that a node serves and shows the lines that it holds of a
// log whose lines are requests, and no others.
func checkRetained(t *testing.T, n, owner *proc) {
	t.Helper()
	lines := uint64(strings.Count(n.must("log", "--node", owner.id, "--raw"), "\n"))
	h, st := n.heldOf(owner), n.deep()
	if lines != h.Size-h.First || *st.Tasks != lines {
		t.Errorf("%s serves %d lines, shows %d tasks, and says [%d, %d)", n.name, lines, *st.Tasks, h.First, h.Size)
	}
}
