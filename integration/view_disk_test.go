package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"auditmesh/internal/api"
)

// mountTmpfs mounts a small file system on a directory.
func mountTmpfs(t *testing.T, dir string, flags uintptr, data string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, data); err != nil {
		if os.Getuid() != 0 {
			t.Skipf("SKIPPED: mounting a small file system needs root: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// health is what /healthz answers.
func (p *proc) health() (h api.Health, code int) {
	p.t.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return api.Dial(ctx, filepath.Join(p.dir, "api.sock"))
		}}}
	resp, err := client.Get("http://node/healthz")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		p.t.Fatalf("%v: %s", err, raw)
	}
	return h, resp.StatusCode
}

// stopLimit is within what time a node ends that is told to, whatever its view does.
const stopLimit = 15 * time.Second

// stopsAndFrees ends the node by SIGTERM, and checks that it ends in time and in
// good order, and that the log is free and whole.
func (p *proc) stopsAndFrees(what string) {
	p.t.Helper()
	begin := time.Now()
	if err := p.kill(syscall.SIGTERM); err != nil {
		p.t.Errorf("%s: the node ended with %v", what, err)
	}
	took := time.Since(begin)
	if took > stopLimit {
		p.t.Errorf("%s: it took %s to stop", what, took)
	}
	p.t.Logf("%s: stopped in %s", what, took.Round(time.Millisecond))
	p.must("append", `{"event":"x-free"}`) // without a node: the lock is to be had
	if out := p.must("verify"); !strings.HasPrefix(out, "ok") {
		p.t.Errorf("%s: verify: %s", what, out)
	}
}

// saysOfView waits until health says something of the view.
func (p *proc) saysOfView(text string) {
	p.t.Helper()
	var h api.Health
	var code int
	eventually(p.t, waitLimit, "health says of the view: "+text, func() bool {
		h, code = p.health()
		for _, problem := range h.Problems {
			if strings.HasPrefix(problem, "the view ") && strings.Contains(problem, text) {
				return true
			}
		}
		return false
	})
	if code != http.StatusOK || h.Status != "degraded" {
		p.t.Errorf("health is %d %v: the log works", code, h)
	}
}

// appendFor appends until enough is true, each acknowledged soon.
func (p *proc) appendFor(most int, enough func() bool) {
	p.t.Helper()
	pad := strings.Repeat("p", 2000) // above what Badger keeps in its tree
	const batch = 50
	for i := 0; i < most; i += batch {
		inputs := make([][]byte, batch)
		for k := range inputs {
			inputs[k] = fmt.Appendf(nil, `{"event":"request","ts_unix_ms":%d,"stdin_bytes":0,"timeout_ms":0,"matched_acl":null,"request_id":"%032x","agent_id":"%064x","machine_id":"%064x","argv":["x","%s"]}`, 1700000000000+i+k, i+k+1, 1, 2, pad)
		}
		begin := time.Now()
		out, err := p.client().Append(context.Background(), inputs...)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, a := range out {
			if err := a.Err(); err != nil {
				p.t.Fatal(err)
			}
		}
		if took := time.Since(begin); took > 5*time.Second {
			p.t.Fatalf("an append took %s", took)
		}
		if enough() {
			return
		}
	}
	p.t.Fatalf("%d appends were not enough", most)
}

// Fault 55: the view's disk is read-only. The node runs, appends, says so, and
// stops; once the disk takes writes the view comes by itself.
func TestViewOnAReadOnlyDisk(t *testing.T) {
	n := newProc(t, "a")
	view := filepath.Join(n.dir, "view")
	mountTmpfs(t, view, unix.MS_RDONLY, "size=64m")
	n.start()
	n.appendN("first", 20)
	n.saysOfView("read-only file system")
	if out, err := n.command("tasks").CombinedOutput(); err == nil || !strings.Contains(string(out), "the view is not available: ") {
		t.Errorf("tasks: %v: %s", err, out)
	}
	var st api.Status
	if err := json.Unmarshal([]byte(n.must("status", "--json")), &st); err != nil {
		t.Fatal(err)
	}
	if st.State != "ok" || st.Size < 20 || st.Unfolded != st.Size || len(st.Vector) != 1 {
		t.Errorf("status %+v", st)
	}
	n.stopsAndFrees("read-only")
	n.start()
	n.saysOfView("read-only file system")
	if err := unix.Mount("", view, "", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	n.viewIsWhole()
	n.stopsAndFrees("writable again")
}

// viewIsWhole waits until the view has all, and compares it with one that is made anew.
func (p *proc) viewIsWhole() {
	p.t.Helper()
	eventually(p.t, waitLimit, "the view has all", func() bool {
		st, err := p.client().Status(context.Background(), false)
		h, _ := p.health()
		return err == nil && st.Unfolded == 0 && h.Status == "ok"
	})
	sameAsSimpleFold(p.t, p)
}

// Fault 55: the view's disk is full from the beginning.
func TestViewOnAFullDisk(t *testing.T) {
	n := newProc(t, "a")
	view := filepath.Join(n.dir, "view")
	mountTmpfs(t, view, 0, "size=64m")
	ballast := filepath.Join(view, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, neverEnding{}); err == nil {
		t.Fatal("it is not full")
	}
	f.Close()
	n.start()
	n.appendN("first", 20)
	n.saysOfView("no space left")
	n.stopsAndFrees("full")
	if _, err := os.Stat(ballast); err != nil {
		t.Fatalf("what a full disk kept from being opened was thrown away: %v", err)
	}
	n.start()
	n.saysOfView("no space left")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	n.viewIsWhole()
	n.stopsAndFrees("with space again")
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// Fault 55: the view's disk fills while the node runs. Appends go on at their pace,
// health says so, the node stops although the database cannot flush. With space
// again the view is whole.
func TestViewFillsItsDisk(t *testing.T) {
	n := newProc(t, "a")
	view := filepath.Join(n.dir, "view")
	mountTmpfs(t, view, 0, "size=24m")
	n.start()
	full := func() bool {
		h, _ := n.health()
		return h.Status != "ok"
	}
	n.appendFor(20_000, full)
	n.saysOfView("no space left")
	n.appendN("while full", 50)
	n.stopsAndFrees("filled")
	n.start()
	n.appendN("after", 50)
	n.stopsAndFrees("filled, started again")
	n.start()
	if err := unix.Mount("", view, "", unix.MS_REMOUNT, "size=400m"); err != nil {
		t.Fatal(err)
	}
	n.viewIsWhole()
	n.stopsAndFrees("with space again")
}

// Fault 55: the disk fills while the node runs, and gets space again without a restart.
func TestViewOutlastsAFullDisk(t *testing.T) {
	n := newProc(t, "a")
	view := filepath.Join(n.dir, "view")
	mountTmpfs(t, view, 0, "size=24m")
	n.start()
	n.appendFor(20_000, func() bool {
		h, _ := n.health()
		return h.Status != "ok"
	})
	n.saysOfView("no space left")
	if err := unix.Mount("", view, "", unix.MS_REMOUNT, "size=400m"); err != nil {
		t.Fatal(err)
	}
	n.viewIsWhole()
	n.stopsAndFrees("with space again")
}
