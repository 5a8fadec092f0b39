package integration

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The card's own user: a plain pubsub program prints each event as it comes.
func TestSubscriber(t *testing.T) {
	source, err := os.ReadFile("subscriber/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n"); n >= 100 {
		t.Errorf("the example has %d lines", n)
	}
	program := filepath.Join(t.TempDir(), "subscriber")
	if out, err := exec.Command("go", "build", "-o", program, "./subscriber").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	key := filepath.Join(t.TempDir(), "key")
	id, err := exec.Command(program, key).Output()
	if err != nil {
		t.Fatal(err)
	}
	node := newMesh(t, "a")[0]
	config, _ := os.ReadFile(filepath.Join(node.dir, "config.toml"))
	node.configure(strings.Replace(string(config), "members = [", `members = ["`+strings.TrimSpace(string(id))+`", `, 1))
	node.start()

	sub := exec.Command(program, key, "it", node.deep().Addresses[0])
	out, err := sub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	sub.Stderr = os.Stderr
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { sub.Process.Signal(syscall.SIGKILL); sub.Wait() }()
	lines := make(chan string, 10_000)
	go func() {
		for sc := bufio.NewScanner(out); sc.Scan(); {
			lines <- sc.Text()
		}
		close(lines)
	}()
	// What is published before the subscriber is in the topic's mesh is not for
	// it: append until the first one comes, then each must.
	first := ""
	for first == "" {
		node.must("append", `{"event":"x-first"}`)
		select {
		case first = <-lines:
		case <-time.After(200 * time.Millisecond):
		}
	}
	if !strings.HasPrefix(first, node.id+` {"event":"x-first"`) {
		t.Fatalf("it printed %q", first)
	}
	long := strings.Repeat("long ", 300) // compressed on the wire
	for _, want := range []string{`{"event":"x-one"`, `{"event":"x-two"`, long} {
		node.must("append", `{"event":"x-one"}`, `{"event":"x-two"}`, `{"event":"x-long","text":"`+long+`"}`)
		eventually(t, waitLimit, "the subscriber prints "+want[:10], func() bool {
			select {
			case line, ok := <-lines:
				if !ok {
					t.Fatal("the subscriber ended")
				}
				return strings.Contains(line, want)
			default:
				return false
			}
		})
	}
}
