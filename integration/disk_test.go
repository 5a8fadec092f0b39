package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"auditmesh/audit"
)

// Fault 1, with the real binary: strace makes the fdatasync of the log's segment
// fail. That append is in doubt, nothing is acknowledged before the log has
// recovered, and the node goes on by itself.
func TestFailedFdatasync(t *testing.T) {
	needs(t, "strace", "strace")
	n := newProc(t, "a")
	n.start()
	n.appendN("before", 10)
	acked := strings.Count(n.ownLines(), "\n")

	segment := filepath.Join(n.dir, "log", fmt.Sprintf("audit-%020d.jsonl", 0))
	trace := attach(t, n, "-P", segment, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO")
	out, err := n.client().Append(context.Background(), []byte(`{"event":"x-doubt"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := out[0].Err(); !errors.Is(err, audit.ErrInDoubt) {
		t.Fatalf("the append whose sync failed: %v", err)
	}
	// Until strace lets go, the recovered segment may have the same name and
	// fail again; nothing is acknowledged falsely meanwhile.
	if err := trace.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = trace.Wait()
	refused := 0
	eventually(t, waitLimit, "the log recovers by itself", func() bool {
		out, err := n.client().Append(context.Background(), []byte(`{"event":"x-after"}`))
		if err != nil {
			t.Fatal(err)
		}
		switch err := out[0].Err(); {
		case err == nil:
			return true
		case errors.Is(err, audit.ErrPoisoned), errors.Is(err, audit.ErrInDoubt):
			refused++
			return false
		default:
			t.Fatal(err)
			return false
		}
	})
	st := n.deep()
	if st.WriteFailures == 0 || !strings.Contains(st.LastFailure, "input/output error") || st.State != "ok" {
		t.Errorf("failures %d, last %q, state %q", st.WriteFailures, st.LastFailure, st.State)
	}
	if text := n.must("status"); !strings.Contains(text, "writes failed") {
		t.Errorf("status does not show the failure:\n%s", text)
	}
	lines := n.ownLines()
	if got := strings.Count(lines, "\n"); got < acked+1 || strings.Count(lines, "x-after") != 1 {
		t.Errorf("%d records, %d were acknowledged before:\n%s", got, acked, lines)
	}
	n.kill(syscall.SIGTERM)
	if out := n.must("verify"); !strings.HasPrefix(out, "ok") {
		t.Errorf("verify: %s", out)
	}
	t.Logf("%d appends were refused before the log had recovered", refused)
}

// attach has strace work on a running node, until the caller interrupts it.
func attach(t *testing.T, n *proc, args ...string) *exec.Cmd {
	t.Helper()
	trace := exec.Command("strace", append([]string{"-f", "-p", fmt.Sprint(n.cmd.Process.Pid)}, args...)...)
	said, err := trace.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := trace.Start(); err != nil {
		t.Fatal(err)
	}
	attached := bufio.NewReader(said)
	for {
		line, err := attached.ReadString('\n')
		if err != nil {
			t.Fatalf("strace ended: %v", err)
		}
		if strings.Contains(line, "attached") {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, attached) }()
	return trace
}
