package integration

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"auditmesh/crdt"
)

// In pipes, signals are passed on, bytes are counted, and how the command ended
// is how exec ends.
func TestExecInPipes(t *testing.T) {
	n := newProc(t, "a")
	n.start()
	cmd := n.command("exec", "--", "sh", "-c", `trap 'echo bye; exit 42' TERM; echo ready; while :; do sleep 0.02; done`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if line, err := r.ReadString('\n'); err != nil || line != "bye\n" {
		t.Errorf("after SIGTERM: %q, %v", line, err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 42 {
		t.Errorf("it ended with %v", err)
	}
	killed := n.command("exec", "--", "sh", "-c", "kill -USR1 $$")
	if err := killed.Run(); killed.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGUSR1 {
		t.Errorf("a command that a signal ended: %v", err)
	}
	big := n.command("exec", "--", "sh", "-c", "head -c 3000000 /dev/zero; head -c 70000 /dev/zero >&2")
	if got, err := big.Output(); err != nil || len(got) != 3_000_000 {
		t.Errorf("%d bytes came through, %v", len(got), err)
	}
	// A reader that goes away ends the command by SIGPIPE, as without us.
	if err := exec.Command("sh", "-c", binary+" --data-dir "+n.dir+" exec -- yes | head -n 1 >/dev/null").Run(); err != nil {
		t.Error(err)
	}
	var page struct{ Tasks []crdt.Item }
	eventually(t, waitLimit, "four tasks are done", func() bool {
		if err := json.Unmarshal([]byte(n.must("tasks", "--json")), &page); err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, it := range page.Tasks {
			if it.State == crdt.Done {
				done++
			}
		}
		return done == 4
	})
	byEnd := map[string]crdt.Item{}
	for _, it := range page.Tasks {
		byEnd[it.Argv[len(it.Argv)-1]] = it
		if it.AgentID != it.MachineID || it.TimeoutMS != 0 || it.MatchedACL != nil {
			t.Errorf("%+v", it)
		}
	}
	if o := byEnd["head -c 3000000 /dev/zero; head -c 70000 /dev/zero >&2"].Outcome; o == nil || o.StdoutBytes != 3_000_000 || o.StderrBytes != 70_000 {
		t.Errorf("the bytes counted: %+v", o)
	}
	if o := byEnd["kill -USR1 $$"].Outcome; o == nil || o.Code != nil || *o.Signal != int32(syscall.SIGUSR1) {
		t.Errorf("the signal recorded: %+v", o)
	}
	if o := byEnd["yes"].Outcome; o == nil || o.Signal == nil || *o.Signal != int32(syscall.SIGPIPE) {
		t.Errorf("yes, whose reader went away: %+v", o)
	}
	if !strings.Contains(n.must("log", "-n", "4"), "exit") {
		t.Error("the log shows no exit")
	}
}
