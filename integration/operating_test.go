package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The procedures of docs/operating.md, tried with real processes.

// at is the same node with another directory, such as a restored one.
func (p *proc) at(dir string) *proc {
	n := &proc{t: p.t, name: p.name, id: p.id, dir: dir}
	p.t.Cleanup(func() {
		if n.cmd != nil {
			n.kill(syscall.SIGKILL)
		}
	})
	return n
}

func copyWith(t *testing.T, from, to string, program ...string) {
	t.Helper()
	cmd := exec.Command(program[0], append(program[1:], from, to)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", program, err, out)
	}
}

func (p *proc) stop() {
	p.t.Helper()
	if err := p.kill(syscall.SIGTERM); err != nil {
		p.t.Fatalf("%s: %v\n%s", p.name, err, p.errs)
	}
}

// refuses is a command that fails, and what it says.
func (p *proc) refuses(args ...string) string {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err == nil {
		p.t.Errorf("%s %v did not fail:\n%s", p.name, args, out)
	}
	return string(out)
}

// "Backup" and "Restore": a copy of the directory is a node that goes on where the
// copy was made. It may be made while the node runs and records go on coming: then
// it has all that was acknowledged before it began.
func TestOperatingBackupAndRestore(t *testing.T) {
	for _, program := range [][]string{{"cp", "-a"}, {"cp", "-r"}} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,running=%v", strings.Join(program, " "), running), func(t *testing.T) {
				n := newProc(t, "a")
				n.configure("segment_bytes = 65536\n")
				n.start()
				acked, err := n.fill(40) // several segments
				if err != nil {
					t.Fatal(err)
				}
				backup := filepath.Join(t.TempDir(), "a")
				if running {
					n.whileAppending(func() { copyWith(t, n.dir, backup, program...) })
					n.stop()
				} else {
					n.stop()
					copyWith(t, n.dir, backup, program...)
				}
				r := n.at(backup)
				r.start()
				r.appendN("after", 3)
				if got := r.deep(); got.Node != n.id || got.State != "ok" {
					t.Errorf("the restored node is %s, %s", got.Node, got.State)
				}
				if all := r.must("log", "--raw"); strings.Count(all, `"x-fill"`) != acked || strings.Count(all, `"after"`) != 3 {
					t.Errorf("it holds %d and %d records", strings.Count(all, `"x-fill"`), strings.Count(all, `"after"`))
				}
				r.stop()
				if out := r.must("verify"); !strings.HasPrefix(out, "ok") {
					t.Errorf("verify in the end: %s", out)
				}
			})
		}
	}
}

// whileAppending does something while records are appended one after the other.
func (p *proc) whileAppending(do func()) {
	p.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	begun, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			out, err := p.client().Append(ctx, fmt.Appendf(nil, `{"event":"x-meanwhile","n":%d,"pad":%q}`, i, strings.Repeat("p", 2000)))
			if err == nil {
				err = out[0].Err()
			}
			if ctx.Err() != nil {
				err = nil
			}
			if err != nil || ctx.Err() != nil {
				ended <- err
				return
			}
			if i == 5 {
				close(begun)
			}
		}
	}()
	<-begun
	do()
	stop()
	if err := <-ended; err != nil {
		p.t.Errorf("an append meanwhile: %v", err)
	}
}

// "Restore a node that has peers": the backup is older than what peers hold.
// Without the last-signed state it goes on in a successor, takes the rest back,
// and nothing forks.
func TestOperatingRestoreWithPeers(t *testing.T) {
	nodes := newMesh(t, "a", "b")
	a, b := nodes[0], nodes[1]
	a.start()
	b.start()
	a.appendN("before", 5)
	eventually(t, waitLimit, "the peer has the first part", func() bool { return converged(a, b) })
	a.stop()
	backup := filepath.Join(t.TempDir(), "a")
	copyWith(t, a.dir, backup, "cp", "-a")
	a.start()
	a.appendN("after", 5)
	eventually(t, waitLimit, "the peer has all", func() bool { return converged(a, b) })
	lost := a.ownLines()
	a.kill(syscall.SIGKILL)
	if err := os.RemoveAll(a.dir); err != nil {
		t.Fatal(err)
	}
	copyWith(t, backup, a.dir, "cp", "-a")
	if err := os.Remove(filepath.Join(a.dir, "state", "last-signed.json")); err != nil {
		t.Fatal(err)
	}
	a.start()
	a.appendN("again", 2)
	eventually(t, waitLimit, "both have the old log, whole, and its successor", func() bool { return convergedOn(13, a, b) })
	for _, n := range nodes {
		if got := n.must("log", "--raw", "--node", a.id); !strings.Contains(got, lost) || strings.Count(got, `"again"`) != 2 {
			t.Errorf("%s holds of a:\n%s", n.name, got)
		}
	}
	if st := b.deep(); st.Counters["conflicts"] != 0 || len(st.Conflicts) != 0 {
		t.Errorf("the peer says that it forked: %v", st.Conflicts)
	}
	for _, n := range nodes {
		n.must("verify")
	}
}

// "Move": the directory goes to another place, and the node with it. Its peers
// notice its new address alone.
func TestOperatingMove(t *testing.T) {
	nodes := newMesh(t, "a", "b")
	a, b := nodes[0], nodes[1]
	a.start()
	b.start()
	a.appendN("before", 5)
	eventually(t, waitLimit, "the peer has the first part", func() bool { return converged(a, b) })
	a.stop()
	moved := a.at(filepath.Join(t.TempDir(), "elsewhere"))
	copyWith(t, a.dir, moved.dir, "cp", "-a")
	if err := os.RemoveAll(a.dir); err != nil {
		t.Fatal(err)
	}
	moved.configure(fmt.Sprintf("audit_tasklist_id = \"it\"\nlisten = [\"/ip4/127.0.0.1/tcp/%d\"]\nmembers = [%q]\nbootstrap = [%s]\n",
		freePort(t), b.id, fmt.Sprintf("%q", b.deep().Addresses[0])))
	moved.start()
	moved.appendN("after", 5)
	eventually(t, waitLimit, "the peer has both parts", func() bool { return convergedOn(10, moved, b) })
	sameBytes(t, moved, b)
}

// "Disk full": all of the data directory is on one small disk. What is appended
// is refused, and once there is space the node goes on by itself.
func TestOperatingDiskFull(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=48m"); err != nil {
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
	seed := newProc(t, "a")
	n := seed.at(filepath.Join(mount, "a"))
	copyWith(t, seed.dir, n.dir, "cp", "-a")
	n.configure("min_free_bytes = 1048576\n")
	n.start()
	n.appendN("before", 10)
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 64<<20), 0o600); !errors.Is(err, unix.ENOSPC) { // it takes what there is
		t.Fatalf("64 MiB on a disk of 48: %v", err)
	}
	acked, err := n.fill(2000)
	if err == nil {
		t.Fatalf("%d events of 4 KB were acknowledged on a full disk", acked)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	n.resumes(acked)
}

// "Keys": one that others can read, one that nobody can, and one that is lost.
// None is mended by itself; each refusal says what to do.
func TestOperatingKeys(t *testing.T) {
	n := newProc(t, "a")
	n.start()
	n.appendN("before", 3)
	n.stop()
	before := n.ownLines()
	key := filepath.Join(n.dir, "identity.key")
	kept, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	put := func(raw []byte, mode os.FileMode) {
		t.Helper()
		_ = os.Remove(key)
		if err := os.WriteFile(key, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
	}
	put(kept, 0o644)
	for _, args := range [][]string{{"run"}, {"append", `{"event":"x-a"}`}, {"init"}} {
		if said := n.refuses(args...); !strings.Contains(said, "chmod 600 "+key) {
			t.Errorf("%v with a key that others can read: %s", args, said)
		}
	}
	put(kept[:20], 0o600)
	if said := n.refuses("run"); !strings.Contains(said, "identity.key") || !strings.Contains(said, "restore it") {
		t.Errorf("a key that is cut: %s", said)
	}
	if os.Getuid() != 0 { // nothing is unreadable for root
		put(kept, 0)
		if said := n.refuses("run"); !strings.Contains(said, "permission denied") {
			t.Errorf("a key that cannot be read: %s", said)
		}
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run"}, {"append", `{"event":"x-a"}`}, {"init"}} {
		if said := n.refuses(args...); !strings.Contains(said, "is gone") || !strings.Contains(said, "restore it") {
			t.Errorf("%v without the key: %s", args, said)
		}
	}
	if _, err := os.Stat(key); err == nil {
		t.Error("a key was made in place of the one that is lost")
	}
	if n.ownLines() != before {
		t.Error("a refusal changed the log")
	}
	put(kept, 0o600)
	n.start()
	n.appendN("after", 3)
	if got := n.deep().Size; got != 6 {
		t.Errorf("with the key put back: %d records", got)
	}
}

// "Downgrade": a program that is older than the data refuses it, and changes
// nothing. The data of a later version are those of this one with a greater
// version in them.
func TestOperatingDowngrade(t *testing.T) {
	seed := newProc(t, "a")
	seed.must("append", `{"event":"x-a"}`)
	for _, c := range []struct{ file, from, to string }{
		{"state/last-signed.json", `"version":1`, `"version":9`},
		{"log/audit-00000000000000000000.segment", `"version": 2`, `"version": 9`},
	} {
		n := seed.at(filepath.Join(t.TempDir(), "a"))
		copyWith(t, seed.dir, n.dir, "cp", "-a")
		path := filepath.Join(n.dir, filepath.FromSlash(c.file))
		raw, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(raw, []byte(c.from)) {
			t.Fatalf("%s holds %s, %v", c.file, raw, err)
		}
		if err := os.WriteFile(path, bytes.Replace(raw, []byte(c.from), []byte(c.to), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		before := dump(t, n.dir)
		for _, args := range [][]string{{"append", `{"event":"x-b"}`}, {"run"}} {
			if said := n.refuses(args...); !strings.Contains(said, "version 9") {
				t.Errorf("%s, %v: %s", c.file, args, said)
			}
		}
		if after := dump(t, n.dir); after != before {
			t.Errorf("%s: a program that is too old changed the data:\n%s\nbefore:\n%s", c.file, after, before)
		}
	}
}

// dump is each file below a directory with what it holds, but for the locks.
func dump(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		raw, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %q\n", strings.TrimPrefix(path, dir), raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// "Rotation by others": logrotate renames the active file and compresses it at
// once. Every record stays, under its own name.
func TestOperatingForeignRotation(t *testing.T) {
	needs(t, "gzip", "gzip")
	n := newProc(t, "a")
	n.start()
	n.appendN("before", 5)
	active := filepath.Join(n.dir, "log", "audit.jsonl")
	if err := os.Rename(active, active+".1"); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gzip", "-f", active+".1").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n.appendN("after", 5)
	if st := n.deep(); st.Size != 10 || st.State != "ok" {
		t.Errorf("%d records, %s", st.Size, st.State)
	}
	if _, err := os.Stat(active); err != nil {
		t.Errorf("the active file: %v", err)
	}
	n.stop()
	if out := n.must("verify"); !strings.HasPrefix(out, "ok") || strings.Count(n.ownLines(), "\n") != 10 {
		t.Errorf("verify: %s", out)
	}
}

// "Erasure": a node that takes another off its list, and deletes its copies,
// holds nothing of it any more, though the other still offers it.
func TestOperatingErasure(t *testing.T) {
	nodes := newMesh(t, "a", "b")
	a, b := nodes[0], nodes[1]
	a.start()
	b.start()
	a.appendN("personal", 5)
	b.appendN("own", 2)
	eventually(t, waitLimit, "both have all", func() bool { return converged(a, b) })
	b.stop()
	config, err := os.ReadFile(filepath.Join(b.dir, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(config), fmt.Sprintf("members = [%q, ", a.id), "members = [")
	text = strings.ReplaceAll(text, fmt.Sprintf("bootstrap = [%q, ", a.deep().Addresses[0]), "bootstrap = [")
	if strings.Contains(text, a.id) {
		t.Fatalf("a is still in the configuration:\n%s", text)
	}
	b.configure(text)
	for _, dir := range []string{filepath.Join("copies", a.id), "view"} {
		if err := os.RemoveAll(filepath.Join(b.dir, dir)); err != nil {
			t.Fatal(err)
		}
	}
	b.start()
	eventually(t, waitLimit, "a is turned away", func() bool { return a.deep().Peers == 0 })
	if out, err := exec.CommandContext(context.Background(), "grep", "-rl", "personal", b.dir).Output(); err == nil {
		t.Errorf("b still holds it in:\n%s", out)
	}
	if got := b.deep(); len(got.Vector) != 1 || got.Size != 2 {
		t.Errorf("b holds %v", got.Vector)
	}
}
