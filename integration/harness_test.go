package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"auditmesh/internal/api"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "auditmesh-integration-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "auditmesh")
		build := exec.Command("go", "build", "-o", binary, "auditmesh/cmd/auditmesh")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// waitLimit is for tests that fail; what must be fast says so itself.
const waitLimit = 60 * time.Second

func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", limit, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// proc is one node: a data directory, and a process while it runs.
type proc struct {
	t    testing.TB
	name string
	dir  string
	id   string
	cmd  *exec.Cmd
	errs *bytes.Buffer
	done chan error
}

// newProc makes a data directory with an identity.
func newProc(t testing.TB, name string) *proc {
	t.Helper()
	p := &proc{t: t, name: name, dir: filepath.Join(t.TempDir(), name)}
	p.id = strings.TrimSpace(p.must("init"))
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill(syscall.SIGKILL)
		}
		if t.Failed() && p.errs != nil {
			t.Logf("%s said:\n%s", p.name, p.errs)
		}
	})
	return p
}

func (p *proc) configure(text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, "config.toml"), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// newMesh makes nodes that are each other's members, on fixed ports.
func newMesh(t testing.TB, names ...string) []*proc {
	t.Helper()
	nodes := make([]*proc, len(names))
	var members, boot []string
	var listen []string
	for i, name := range names {
		nodes[i] = newProc(t, name)
		addr := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", freePort(t))
		listen = append(listen, addr)
		members = append(members, fmt.Sprintf("%q", nodes[i].id))
		boot = append(boot, fmt.Sprintf("%q", addr+"/p2p/"+nodes[i].id))
	}
	for i, n := range nodes {
		n.configure(fmt.Sprintf("audit_tasklist_id = \"it\"\nlisten = [%q]\nmembers = [%s]\nbootstrap = [%s]\nlog_level = \"debug\"\n",
			listen[i], strings.Join(members, ", "), strings.Join(boot, ", ")))
	}
	return nodes
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start runs the node and waits until it answers.
func (p *proc) start() {
	p.t.Helper()
	p.cmd = exec.Command(binary, "run", "--data-dir", p.dir)
	if p.errs == nil {
		p.errs = new(bytes.Buffer)
	}
	out, err := os.CreateTemp(p.dir, "stderr-")
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Stderr = out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan error, 1)
	p.done = done
	cmd := p.cmd
	go func() {
		err := cmd.Wait()
		raw, _ := os.ReadFile(out.Name())
		p.errs.Write(raw)
		out.Close()
		done <- err
	}()
	eventually(p.t, waitLimit, p.name+" answers", func() bool {
		select {
		case err := <-done:
			p.t.Fatalf("%s ended: %v\n%s", p.name, err, p.errs)
		default:
		}
		_, err := p.client().Status(context.Background(), false)
		return err == nil
	})
}

func (p *proc) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// kill ends the process by a signal and returns how it ended.
func (p *proc) kill(sig syscall.Signal) error {
	p.t.Helper()
	_ = p.cmd.Process.Signal(sig)
	p.cmd = nil
	select {
	case err := <-p.done:
		return err
	case <-time.After(waitLimit):
		p.t.Fatalf("%s does not end", p.name)
		return nil
	}
}

func (p *proc) client() *api.Client { return api.NewClient(filepath.Join(p.dir, "api.sock")) }

// command is the binary with this node's data directory.
func (p *proc) command(args ...string) *exec.Cmd {
	return exec.Command(binary, append([]string{"--data-dir", p.dir}, args...)...)
}

func (p *proc) must(args ...string) string {
	p.t.Helper()
	var errs bytes.Buffer
	cmd := p.command(args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%s %v: %v\n%s%s", p.name, args, err, out, &errs)
	}
	return string(out)
}

// deep is `status --deep --json`.
func (p *proc) deep() (st api.Status) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.must("status", "--deep", "--json")), &st); err != nil {
		p.t.Fatal(err)
	}
	return st
}

// converged says whether all nodes have one view of everything.
func converged(nodes ...*proc) bool {
	var total uint64
	for _, n := range nodes {
		total += n.deep().Size
	}
	return convergedOn(total, nodes...)
}

// convergedOn says whether all nodes have one view, of that many records.
func convergedOn(records uint64, nodes ...*proc) bool {
	var folded uint64
	first := nodes[0].deep()
	for _, n := range nodes {
		st := n.deep()
		if st.Holdings != first.Holdings || st.ViewHash != first.ViewHash || len(st.Vector) != len(first.Vector) {
			return false
		}
	}
	for _, h := range first.Vector {
		folded += h.Size
	}
	return folded == records
}

// sameBytes checks that each node's copy of each log is its owner's file.
func sameBytes(t testing.TB, nodes ...*proc) {
	t.Helper()
	for _, owner := range nodes {
		want := owner.ownLines()
		if want == "" {
			continue // an empty log has no name, and nobody holds it
		}
		for _, n := range nodes {
			if got := n.must("log", "--node", owner.id, "--raw"); got != want {
				t.Errorf("what %s holds of %s differs: %d bytes, %d in its files", n.name, owner.name, len(got), len(want))
			}
		}
	}
}

// ownLines are the node's own segments, one after the other.
func (p *proc) ownLines() string {
	p.t.Helper()
	segments, err := filepath.Glob(filepath.Join(p.dir, "log", "audit-*.jsonl"))
	if err != nil {
		p.t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range segments {
		raw, err := os.ReadFile(s)
		if err != nil {
			p.t.Fatal(err)
		}
		all.Write(raw)
	}
	return all.String()
}

func needs(t testing.TB, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("this test needs %s: apt-get install %s", program, debian)
	}
}
