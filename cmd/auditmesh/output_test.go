package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Whatever is printed onto a full disk: the command fails, and says so.
func TestOutputThatDoesNotArriveFails(t *testing.T) {
	program, dir := build(t), filepath.Join(t.TempDir(), "node")
	command := func(args ...string) *exec.Cmd {
		return exec.Command(program, append([]string{"--data-dir", dir}, args...)...)
	}
	node := command("run")
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = node.Process.Signal(os.Interrupt)
		if err := node.Wait(); err != nil {
			t.Error(err)
		}
	}()
	for end := time.Now().Add(30 * time.Second); ; <-time.After(10 * time.Millisecond) {
		if err := command("status").Run(); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	event := `{"event":"started","request_id":"00112233445566778899aabbccddeeff","pid":1}`
	if out, err := command("append", event).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for end := time.Now().Add(30 * time.Second); ; <-time.After(10 * time.Millisecond) {
		// The view has the task, and a checkpoint the record.
		if command("show", "0011").Run() == nil && command("proof", "head").Run() == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the event is not shown, or not signed")
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, line := range []string{
		"verify", "verify --json", "status", "status --deep", "status --json", "tasks", "tasks --json", "tasks -f", "log", "log --json", "log --raw", "log -f", "show 0011", "show 0011 --json",
		"config check", "init", "init --json", "version", "proof 0", "proof head", "peers --json", "append " + event, "append --json " + event, "--help",
	} {
		var errs bytes.Buffer
		cmd := command(strings.Fields(line)...)
		cmd.Stdout, cmd.Stderr = full, &errs
		if err := cmd.Run(); err == nil || !strings.Contains(errs.String(), "no space left on device") {
			t.Errorf("%s: %v, %s", line, err, &errs)
		}
	}
}

func TestMarks(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	const day = 24 * 60 * 60 * 1000
	for ms, want := range map[uint64]string{
		0: "", 1_800_000_000_000 + day: "", 1_800_000_000_001 + day: " (1 day ahead)", 1_800_000_000_000 + 40*day: " (40 days ahead)",
		1_800_000_000_000 + 800*day: " (2 years ahead)",
	} {
		if got := aheadMark(ms, now); got != want {
			t.Errorf("%d: %q, want %q", ms, got, want)
		}
	}
}
