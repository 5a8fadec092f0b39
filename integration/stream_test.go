package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"auditmesh/internal/api"
)

// appendLarge appends so many records of about 100 KB each.
func (p *proc) appendLarge(records int) {
	p.t.Helper()
	var in bytes.Buffer
	for i := range records {
		fmt.Fprintf(&in, `{"event":"x-large","n":%d,"text":%q}`+"\n", i, strings.Repeat("x", 100_000))
	}
	cmd := p.command("append")
	cmd.Stdin = &in
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%.500s", err, out)
	}
}

// Fault 56: a command that shows a stream fails, and says so, when the node stops
// under it: whatever it shows, it is a part.
func TestStreamsWhenTheNodeStops(t *testing.T) {
	for _, args := range []string{"log --raw", "log -n 300 --json", "log -f", "log -f --json", "tasks -f", "tasks -f --json"} {
		t.Run(args, func(t *testing.T) {
			n := newProc(t, "node")
			n.start()
			const records = 300 // far more than pipes and sockets hold
			n.appendLarge(records)
			n.must("exec", "--", "true")
			eventually(t, waitLimit, "all is in the view", func() bool { return n.deep().Unfolded == 0 })
			cmd := n.command(strings.Fields(args)...)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(out)
			first, err := in.ReadString('\n') // it streams
			if err != nil {
				t.Fatalf("%v: %s", err, &errs)
			}
			begin := time.Now()
			if err := n.kill(syscall.SIGTERM); err != nil {
				t.Errorf("the node: %v", err)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("the node took %s to stop", took)
			}
			rest, err := io.Copy(io.Discard, in)
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil || !strings.Contains(errs.String(), "broke") {
				t.Errorf("after %d bytes: %v, %s", int(rest)+len(first), err, &errs)
			}
		})
	}
}

// Fault 54: 256 idle followers, and still records are committed, commands run, and
// the node says how it is; one follower more is told.
func TestFollowersKeepNobodyOut(t *testing.T) {
	n := newProc(t, "node")
	n.start()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	const followers = 256
	n.must("append", `{"event":"x-first"}`)
	eventually(t, waitLimit, "it is in the view", func() bool { return n.deep().Unfolded == 0 })
	follows, ended := make(chan struct{}), make(chan error)
	c := n.client()
	for range followers {
		go func() {
			first := true
			ended <- c.Log(ctx, api.LogQuery{Limit: 1, Follow: true}, func(api.LogLine) error {
				if first {
					first = false
					follows <- struct{}{}
				}
				return nil
			})
		}()
	}
	for range followers {
		<-follows
	}
	n.must("append", `{"event":"x-a"}`)
	if got := n.must("exec", "--", "echo", "it runs"); got != "it runs\n" {
		t.Errorf("exec printed %q", got)
	}
	n.must("status")
	n.must("tasks")
	if out, err := n.command("log", "-f").CombinedOutput(); err == nil || !strings.Contains(string(out), "too many requests") {
		t.Errorf("one more: %v, %s", err, out)
	}
	begin := time.Now()
	if err := n.kill(syscall.SIGTERM); err != nil {
		t.Errorf("the node: %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the node took %s to stop", took)
	}
	for range followers {
		if err := <-ended; err == nil {
			t.Fatal("a follower's stream ended as if it were whole")
		}
	}
}
