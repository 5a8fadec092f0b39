package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"auditmesh/internal/api"
)

// modifying are the system calls by which a log is written.
var modifying = []string{"openat", "write", "fdatasync", "fsync", "renameat", "linkat", "unlinkat", "ftruncate", "mkdirat", "flock"}

// The real binary, with strace: EIO and SIGKILL at the k-th call of each system
// call of committing, rotating and signing, and of recovering from a kill -9, for
// all k. Whatever then was acknowledged is in the log at its place, and the log
// verifies, once the next process has opened it.
func TestEverySystemCall(t *testing.T) {
	needs(t, "strace", "strace")
	if testing.Short() {
		t.Skip("SKIPPED: it takes a minute")
	}
	for name, crashed := range map[string]bool{"commit and rotate": false, "recover": true} {
		seed, seedAcked := newProc(t, "a"), map[uint64]string{}
		seed.configure("segment_bytes = 65536\n")
		if crashed {
			seed.appendTraced(t, seedAcked, 8, nil)
			seed.appendTraced(t, seedAcked, 16, []string{"-e", "inject=fdatasync:signal=KILL:when=3"})
		}
		prepare := func(t *testing.T) (*proc, map[uint64]string) {
			n := &proc{t: t, name: "a", id: seed.id, dir: filepath.Join(t.TempDir(), "a")}
			copyDir(t, seed.dir, n.dir)
			return n, maps.Clone(seedAcked)
		}
		for _, fault := range []string{"error=EIO", "signal=KILL"} {
			t.Run(name+","+fault, func(t *testing.T) {
				t.Parallel()
				n, acked := prepare(t)
				counts := n.appendTraced(t, acked, 20, []string{"-e", "trace=" + strings.Join(modifying, ",")})
				n.opens(t, "unharmed", acked)
				runs := 0
				for _, call := range modifying {
					for k := 1; k <= counts[call]; k++ {
						n, acked := prepare(t)
						n.appendTraced(t, acked, 20, []string{"-e", fmt.Sprintf("inject=%s:%s:when=%d", call, fault, k)})
						n.opens(t, fmt.Sprintf("%s at %s %d", fault, call, k), acked)
						runs++
						if t.Failed() {
							return
						}
					}
				}
				t.Logf("%d runs; calls of the run unharmed: %v", runs, counts)
			})
		}
	}
}

// appendTraced appends events of four kilobytes, eleven to a commit, under strace, until the process ends; it notes which were acknowledged where, and
// returns how often each system call was made.
func (p *proc) appendTraced(t *testing.T, acked map[uint64]string, events int, trace []string) map[string]int {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	cmd := p.command("--json", "append")
	if trace != nil {
		args := append([]string{"-f", "--seccomp-bpf", "-qq", "-o", log}, trace...)
		cmd = exec.Command("strace", append(append(args, binary), cmd.Args[1:]...)...)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := json.NewDecoder(out)
	label := len(acked)
	for sent := 0; sent < events; {
		group := min(11, events-sent)
		var text strings.Builder
		for i := range group {
			fmt.Fprintf(&text, `{"event":"x-k","label":"%d-%d","pad":%q}`+"\n", label, sent+i, strings.Repeat("p", 4000))
		}
		if _, err := io.WriteString(in, text.String()); err != nil {
			break // it is dead
		}
		var got []api.Appended
		for range group {
			var a api.Appended
			if answers.Decode(&a) != nil {
				break // it is dead, or could not write an answer
			}
			got = append(got, a)
		}
		for i, a := range got {
			if a.Err() != nil {
				continue
			}
			acked[a.Seq] = fmt.Sprintf(`"label":"%d-%d"`, label, sent+i)
			if len(got) < group { // which of them has no answer is not known
				acked[a.Seq] = fmt.Sprintf(`"label":"%d-`, label)
			}
		}
		sent += group
	}
	in.Close()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // however it ended
	counts := make(map[string]int)
	if trace == nil {
		return counts
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		_, call, _ := strings.Cut(line, " ")
		name, _, ok := strings.Cut(strings.TrimSpace(call), "(")
		if ok && !strings.HasPrefix(name, "<") {
			counts[name]++
		}
	}
	return counts
}

// opens has the next process open the log, append to it, and verify it, and
// compares its lines with what was acknowledged.
func (p *proc) opens(t *testing.T, what string, acked map[uint64]string) {
	t.Helper()
	for _, args := range [][]string{{"append", `{"event":"x-after"}`}, {"verify"}} {
		if out, err := p.command(args...).CombinedOutput(); err != nil {
			t.Errorf("%s: then %v: %v\n%s", what, args, err, out)
			return
		}
	}
	lines := strings.Split(p.ownLines(), "\n")
	missing(t, what, acked, lines)
}

// missing finds what was acknowledged and is not at its place.
func missing(t *testing.T, what string, acked map[uint64]string, lines []string) {
	t.Helper()
	for seq, label := range acked {
		if seq >= uint64(len(lines)) || !strings.Contains(lines[seq], label) {
			t.Errorf("%s: the event with %s was acknowledged as record %d and is not there", what, label, seq)
		}
	}
}

// Fault 4: a file system that stops at once, as a power cut leaves it, while events
// are appended: what was acknowledged is there when it is mounted again.
func TestPowerCut(t *testing.T) {
	mount := loopMount(t)
	n := newProc(t, "a")
	n.configure(fmt.Sprintf("audit_log_path = %q\nsegment_bytes = 65536\n", filepath.Join(mount.dir, "log", "audit.jsonl")))
	acked, label := make(map[uint64]string), 0
	for round := range 5 {
		n.start()
		for range 30 + 7*round {
			in := fmt.Sprintf(`{"event":"x-cut","label":"%d","pad":%q}`, label, strings.Repeat("p", 900))
			out, err := n.client().Append(t.Context(), []byte(in))
			if err != nil || out[0].Err() != nil {
				t.Fatal(err, out)
			}
			acked[out[0].Seq] = fmt.Sprintf(`"label":"%d"`, label)
			label++
		}
		mount.cut(t)
		if out, err := n.client().Append(t.Context(), []byte(`{"event":"x-lost"}`)); err == nil && out[0].Err() == nil {
			t.Error("acknowledged on a file system that is gone")
		}
		n.kill(syscall.SIGKILL)
		mount.again(t)
	}
	n.start()
	n.appendN("after", 1)
	n.kill(syscall.SIGTERM)
	if out := n.must("verify"); !strings.HasPrefix(out, "ok") {
		t.Errorf("verify: %s", out)
	}
	segments, err := filepath.Glob(filepath.Join(mount.dir, "log", "audit-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range segments {
		raw, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.SplitAfter(string(raw), "\n")...)
		lines = lines[:len(lines)-1]
	}
	missing(t, "after the power cuts", acked, lines)
	if len(segments) < 3 {
		t.Errorf("%d segments: nothing was rotated", len(segments))
	}
}
