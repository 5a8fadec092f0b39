package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// user is one process of the first use of a data directory.
type user struct {
	kind     string
	out, err bytes.Buffer
	cmd      *exec.Cmd
	end      error
	done     chan struct{}
}

func startUser(t *testing.T, dir, kind string, n int) *user {
	t.Helper()
	u := &user{kind: kind, done: make(chan struct{})}
	args := map[string][]string{
		"init":   {"init"},
		"append": {"append", fmt.Sprintf(`{"event":"x-first","n":%d}`, n)},
		"exec":   {"exec", "--", "echo", fmt.Sprint("ran ", n)},
		"run":    {"run"},
	}[kind]
	u.cmd = exec.Command(binary, append([]string{"--data-dir", dir}, args...)...)
	u.cmd.Stdout, u.cmd.Stderr = &u.out, &u.err
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		u.end = u.cmd.Wait()
		close(u.done)
	}()
	t.Cleanup(func() {
		_ = u.cmd.Process.Kill()
		<-u.done
	})
	return u
}

// firstUse starts all at one time in a new directory, and checks what must be true
// of it: one identity, one log, everyone answered, one node at most, nothing bricked.
func firstUse(t *testing.T, kinds ...string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deep", "below", "node")
	users := make([]*user, len(kinds))
	var wg sync.WaitGroup
	for i, kind := range kinds {
		wg.Go(func() { users[i] = startUser(t, dir, kind, i) })
	}
	wg.Wait()
	ids := make(map[string]bool)
	want, nodes := 0, 0
	for i, u := range users {
		if u.kind == "run" {
			nodes++
			continue
		}
		<-u.done
		if u.end != nil {
			t.Errorf("%s %d: %v: %s", u.kind, i, u.end, &u.err)
		}
		switch u.kind {
		case "init":
			ids[strings.TrimSpace(u.out.String())] = true
		case "append":
			want++
		case "exec":
			want += 3
			if got := u.out.String(); got != fmt.Sprintf("ran %d\n", i) {
				t.Errorf("exec %d printed %q", i, got)
			}
		}
	}
	p := &proc{t: t, name: "node", dir: dir}
	if nodes > 0 {
		running := 0
		eventually(t, waitLimit, "one node runs, and the others were refused", func() bool {
			running = 0
			for _, u := range users {
				select {
				case <-u.done:
				default:
					running++
				}
			}
			return running <= 1
		})
		for _, u := range users {
			if u.kind != "run" {
				continue
			}
			select {
			case <-u.done:
				if !strings.Contains(u.err.String(), "in use by another process") {
					t.Errorf("a node ended: %v: %s", u.end, &u.err)
				}
			default:
				eventually(t, waitLimit, "the node answers", func() bool {
					_, err := p.client().Status(t.Context(), false)
					return err == nil
				})
				if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				if <-u.done; u.end != nil {
					t.Errorf("the node ended: %v: %s", u.end, &u.err)
				}
			}
		}
		if running != 1 {
			t.Errorf("%d nodes run", running)
		}
	}
	ids[strings.TrimSpace(p.must("init"))] = true
	if len(ids) != 1 {
		t.Errorf("%d identities: %v", len(ids), ids)
	}
	if got := strings.Count(p.ownLines(), "\n"); got != want {
		t.Errorf("%d records, %d were acknowledged", got, want)
	}
	p.must("append", `{"event":"x-later"}`)
	if out := p.must("verify"); !strings.HasPrefix(out, "ok") {
		t.Errorf("verify: %s", out)
	}
}

// Fault 46: 64 processes of every kind use one new data directory at one time.
func TestFirstUseByMany(t *testing.T) {
	var kinds []string
	for range 16 {
		kinds = append(kinds, "init", "append", "exec", "run")
	}
	firstUse(t, kinds...)
}

// Fault 46: any two of the commands are the first.
func TestFirstUseInPairs(t *testing.T) {
	all := []string{"init", "append", "exec", "run"}
	for i, a := range all {
		for _, b := range all[i:] {
			t.Run(a+" and "+b, func(t *testing.T) {
				for range 2 {
					firstUse(t, a, b)
				}
			})
		}
	}
}

// Fault 16: a second node is refused at once, with the pid of the first, and not
// only after the time for which a log is waited for.
func TestSecondNodeIsRefused(t *testing.T) {
	n := newProc(t, "a")
	n.start()
	var errs bytes.Buffer
	second := n.command("run")
	second.Stderr = &errs
	err := second.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("a second node: %v", err)
	}
	if !strings.Contains(errs.String(), "a node runs in "+n.dir+" already") || !strings.Contains(errs.String(), fmt.Sprintf("process %d holds", n.cmd.Process.Pid)) {
		t.Errorf("it said %s", &errs)
	}
	n.must("append", `{"event":"x-still"}`)
}
