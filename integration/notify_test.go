package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// word is what a node told its service manager, and when.
type word struct {
	text string
	at   time.Time
}

// manager is a stand-in for systemd's socket.
func manager(t *testing.T, addr string) <-chan word {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	said := make(chan word, 100_000)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			said <- word{string(buf[:n]), time.Now()}
		}
	}()
	return said
}

func hear(t *testing.T, said <-chan word) word {
	t.Helper()
	select {
	case w := <-said:
		return w
	case <-time.After(waitLimit):
		t.Fatal("the node says nothing")
		return word{}
	}
}

// The real binary tells systemd that it serves, that its log answers, and that it
// stops. While the disk of the log hangs it gives no sign of life, and goes on after.
func TestServiceManager(t *testing.T) {
	needs(t, "strace", "strace")
	for name, addr := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": fmt.Sprintf("@auditmesh-integration-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			said := manager(t, addr)
			t.Setenv("NOTIFY_SOCKET", addr)
			t.Setenv("WATCHDOG_USEC", "200000")
			n := newProc(t, "a")
			n.start()
			if w := hear(t, said); w.text != "READY=1" {
				t.Fatalf("first it said %q", w.text)
			}
			if w := hear(t, said); w.text != "WATCHDOG=1" {
				t.Fatalf("then it said %q", w.text)
			}
			if name == "path" {
				stalled(t, n, said)
			}
			if err := n.kill(syscall.SIGTERM); err != nil {
				t.Errorf("it ended with %v", err)
			}
			for w := hear(t, said); w.text != "STOPPING=1"; w = hear(t, said) {
				if w.text != "WATCHDOG=1" {
					t.Errorf("it said %q", w.text)
				}
			}
		})
	}
}

// stalled holds up every fdatasync of the log for four seconds.
func stalled(t *testing.T, n *proc, said <-chan word) {
	t.Helper()
	const hold = 4 * time.Second
	n.appendN("before", 1)
	segment := filepath.Join(n.dir, "log", fmt.Sprintf("audit-%020d.jsonl", 0))
	trace := attach(t, n, "-P", segment, "-e", "trace=fdatasync", "-e", fmt.Sprintf("inject=fdatasync:delay_enter=%d", hold.Microseconds()))
	answered := make(chan error, 1)
	go func() {
		_, err := n.client().Append(context.Background(), []byte(`{"event":"x-slow"}`))
		answered <- err
	}()
	last, longest := hear(t, said), time.Duration(0)
	note := func(w word) {
		if w.text != "WATCHDOG=1" {
			t.Fatalf("it said %q", w.text)
		}
		longest, last = max(longest, w.at.Sub(last.at)), w
	}
	for waiting := true; waiting; {
		select {
		case w := <-said:
			note(w)
		case err := <-answered:
			if err != nil {
				t.Errorf("the slow append: %v", err)
			}
			waiting = false
		}
	}
	for range 3 { // and it lives again
		note(hear(t, said))
	}
	if longest < hold/2 {
		t.Errorf("while the log hung for %s it was silent for %s at most", hold, longest)
	}
	if err := trace.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = trace.Wait()
}

// The unit file in docs is one that systemd takes, with this binary in it.
func TestUnitFile(t *testing.T) {
	needs(t, "systemd-analyze", "systemd")
	raw, err := os.ReadFile("../docs/auditmesh.service")
	if err != nil {
		t.Fatal(err)
	}
	const program = "ExecStart=/usr/local/bin/auditmesh run "
	if !strings.Contains(string(raw), program) {
		t.Fatalf("the unit has no line %q", program)
	}
	unit := filepath.Join(t.TempDir(), "auditmesh.service")
	text := strings.Replace(string(raw), program, "ExecStart="+binary+" run ", 1)
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || len(out) > 0 { // what it does not know it only warns of
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
