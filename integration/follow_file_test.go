package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A running x0x, as far as its file is concerned: each line in an open, append,
// sync and close of its own.
type x0x struct {
	t     *testing.T
	path  string
	wrote []string
}

func (x *x0x) write(n int) {
	x.t.Helper()
	for range n {
		line := fmt.Sprintf(`{"event":"started","ts_unix_ms":%d,"request_id":"%032x","pid":7}`, 1_795_000_000_000+len(x.wrote), len(x.wrote)/2)
		f, err := os.OpenFile(x.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			x.t.Error(err)
			return
		}
		_, err = f.WriteString(line + "\n")
		if err != nil || f.Sync() != nil || f.Close() != nil {
			x.t.Error("the followed file is not written", err)
		}
		x.wrote = append(x.wrote, line)
	}
}

// Fault 13 and 15 of following: a file that another program writes and rotates is
// copied line for line, exactly once, over kill -9 of the node, and its peers see
// the tasks.
func TestFollowedFile(t *testing.T) {
	nodes := newMesh(t, "a", "b")
	a, b := nodes[0], nodes[1]
	x := &x0x{t: t, path: filepath.Join(t.TempDir(), "exec-audit.jsonl")}
	config, err := os.ReadFile(filepath.Join(a.dir, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	a.configure(string(config) + fmt.Sprintf("audit_follow_path = %q\n", x.path))
	x.write(40)
	a.start()
	b.start()
	for round := range 6 {
		var wg sync.WaitGroup
		wg.Go(func() { x.write(150) })
		if round%2 == 0 {
			a.appendN("own", 20)
		}
		a.kill(syscall.SIGKILL)
		wg.Wait()
		if round == 2 { // while nobody looks
			if err := os.Rename(x.path, x.path+".1"); err != nil {
				t.Fatal(err)
			}
			x.write(10)
		}
		a.start()
		if round == 4 { // and while somebody does
			if err := os.Rename(x.path, x.path+"-20261124"); err != nil {
				t.Fatal(err)
			}
			x.write(10)
		}
	}
	followed := func() (lines []string) {
		for _, line := range strings.Split(a.ownLines(), "\n") {
			if strings.HasPrefix(line, `{"event":"started"`) || strings.HasPrefix(line, `{"event":"follow`) {
				lines = append(lines, line)
			}
		}
		return lines
	}
	eventually(t, waitLimit, "all lines are copied", func() bool { return len(followed()) >= len(x.wrote) })
	if got := followed(); !slices.Equal(got, x.wrote) {
		t.Errorf("%d lines were copied, %d were written", len(got), len(x.wrote))
	}
	eventually(t, waitLimit, "the peer has them", func() bool { return converged(nodes...) })
	sameAsSimpleFold(t, nodes...)
	if st := a.deep(); st.Follow == nil || st.Follow.Error != "" || st.Follow.Path != x.path || st.Follow.Gaps != 0 {
		t.Errorf("status: %+v", st.Follow)
	}
	if out := a.must("status"); !strings.Contains(out, "Follows") {
		t.Errorf("status:\n%s", out)
	}
}
