package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"auditmesh/audit"
)

// fill appends until an append fails, and returns how many were acknowledged and
// the error.
func (p *proc) fill(most int) (acked int, err error) {
	p.t.Helper()
	for acked < most {
		out, err := p.client().Append(context.Background(), []byte(fmt.Sprintf(`{"event":"x-fill","n":%d,"pad":%q}`, acked, strings.Repeat("p", 4000))))
		if err != nil {
			p.t.Fatal(err)
		}
		if err := out[0].Err(); err != nil {
			return acked, err
		}
		acked++
	}
	return acked, nil
}

// resumes waits until an append succeeds, without a restart, and checks the log.
func (p *proc) resumes(acked int) {
	p.t.Helper()
	eventually(p.t, waitLimit, "the log goes on by itself", func() bool {
		out, err := p.client().Append(context.Background(), []byte(`{"event":"x-after"}`))
		if err != nil {
			p.t.Fatal(err)
		}
		err = out[0].Err()
		if err != nil && !errors.Is(err, audit.ErrPoisoned) && !errors.Is(err, audit.ErrInDoubt) {
			p.t.Fatal(err)
		}
		return err == nil
	})
	st := p.deep()
	if st.WriteFailures == 0 || st.State != "ok" {
		p.t.Errorf("failures %d, state %q", st.WriteFailures, st.State)
	}
	raw := p.must("log", "--raw")
	for i := range acked {
		if n := strings.Count(raw, fmt.Sprintf(`"n":%d,`, i)); n != 1 {
			p.t.Errorf("event %d was acknowledged and is there %d times", i, n)
		}
	}
	if !strings.Contains(raw, "x-after") || !strings.HasSuffix(raw, "\n") {
		p.t.Error("the last event is not there, or not whole")
	}
	p.kill(syscall.SIGTERM)
	if out := p.must("verify"); !strings.HasPrefix(out, "ok") {
		p.t.Errorf("verify: %s", out)
	}
}

// Fault 2: no space left. The append is refused, the lines before stay whole, and
// the log goes on by itself once there is space.
func TestNoSpaceLeft(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=512k"); err != nil {
		if os.Getuid() != 0 {
			t.Skipf("SKIPPED: mounting a small file system needs root: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	n := newProc(t, "a")
	n.configure(fmt.Sprintf("audit_log_path = %q\nmin_free_bytes = 131072\n", filepath.Join(mount, "audit.jsonl")))
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 256<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	acked, err := n.fill(1000)
	if !errors.Is(err, audit.ErrInDoubt) || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("after %d events: %v", acked, err)
	}
	if out, err := n.client().Append(context.Background(), []byte(`{"event":"x-full"}`)); err != nil || out[0].Err() == nil {
		t.Errorf("acknowledged on a full disk: %v, %v", out, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	n.resumes(acked)
	raw, err := os.ReadFile(filepath.Join(mount, "audit.jsonl"))
	segments, globErr := filepath.Glob(filepath.Join(mount, "audit-*.jsonl"))
	if err := errors.Join(err, globErr); err != nil {
		t.Fatal(err)
	}
	lines := string(raw)
	for _, s := range segments[:len(segments)-1] {
		raw, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		lines += string(raw)
	}
	for _, want := range []string{`"event":"disk_space_low"`, `"event":"log_write_failed"`, "no space left on device"} {
		if !strings.Contains(lines, want) {
			t.Errorf("the log does not say %s", want)
		}
	}
}

// Fault 3: a write that is cut short. What of the line was written is set aside.
func TestPartialWrite(t *testing.T) {
	n := newProc(t, "a")
	n.start()
	limit := func(size uint64) {
		if err := unix.Prlimit(n.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
			t.Fatal(err)
		}
	}
	n.appendN("before", 3)
	info, err := os.Stat(filepath.Join(n.dir, "log", "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	limit(uint64(info.Size()) + 3*4060 + 1500) // some events, and a part of one
	acked, err := n.fill(1000)
	if !errors.Is(err, audit.ErrInDoubt) || !strings.Contains(err.Error(), "file too large") {
		t.Fatalf("after %d events: %v", acked, err)
	}
	limit(unix.RLIM_INFINITY)
	n.resumes(acked)
	torn, err := filepath.Glob(filepath.Join(n.dir, "log", "*.torn"))
	if err != nil || len(torn) == 0 {
		t.Fatalf("nothing was set aside: %v", err)
	}
	raw, err := os.ReadFile(torn[0])
	if err != nil || !strings.HasPrefix(string(raw), `{"event":"x-fill"`) || strings.HasSuffix(string(raw), "\n") {
		t.Errorf("set aside was %.60q, %v", raw, err)
	}
}
