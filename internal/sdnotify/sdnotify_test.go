package sdnotify

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// listen is a stand-in for systemd: what it is told, in order.
func listen(t *testing.T, addr string) <-chan string {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	said := make(chan string, 10_000)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			said <- string(buf[:n])
		}
	}()
	return said
}

func next(t *testing.T, said <-chan string, want string) {
	t.Helper()
	select {
	case got := <-said:
		if got != want {
			t.Fatalf("said %q, not %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("never said %q", want)
	}
}

func noFailure(t *testing.T) func(error) { return func(err error) { t.Error(err) } }

func yes() bool { return true }

func TestReadyAliveStopping(t *testing.T) {
	for name, addr := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": fmt.Sprintf("@auditmesh-test-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			said := listen(t, addr)
			ctx, stop := context.WithCancel(t.Context())
			ready, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				Manager{addr, 10 * time.Millisecond}.Run(ctx, ready, yes, noFailure(t))
			}()
			close(ready)
			next(t, said, "READY=1")
			for range 3 {
				next(t, said, "WATCHDOG=1")
			}
			stop()
			<-done
			for {
				select {
				case got := <-said:
					if got == "STOPPING=1" {
						return
					}
				case <-time.After(20 * time.Second):
					t.Fatal("never said that it stops")
				}
			}
		})
	}
}

// What never served is not ready, and says that it stops all the same.
func TestStopsBeforeReady(t *testing.T) {
	addr := filepath.Join(t.TempDir(), "notify")
	said := listen(t, addr)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	Manager{addr, time.Millisecond}.Run(ctx, make(chan struct{}), yes, noFailure(t))
	next(t, said, "STOPPING=1")
	if len(said) > 0 {
		t.Errorf("and then said %q", <-said)
	}
}

// No sign of life is given while it hangs or says no; one that hangs keeps nobody from stopping.
func TestNoSignOfLife(t *testing.T) {
	addr := filepath.Join(t.TempDir(), "notify")
	said := listen(t, addr)
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan struct{})
	close(ready)
	var asked atomic.Int32
	hung, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	go func() {
		defer close(done)
		Manager{addr, 2 * time.Millisecond}.Run(ctx, ready, func() bool {
			switch asked.Add(1) {
			case 1:
				return true
			case 5:
				close(hung)
				<-release
			}
			return false
		}, noFailure(t))
	}()
	next(t, said, "READY=1")
	next(t, said, "WATCHDOG=1")
	<-hung
	stop()
	<-done
	next(t, said, "STOPPING=1")
	if len(said) > 0 {
		t.Errorf("and then said %q", <-said)
	}
}

func TestNobodyListens(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var errs []error
	Manager{filepath.Join(t.TempDir(), "absent"), 0}.Run(ctx, nil, yes, func(err error) { errs = append(errs, err) })
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "tell systemd STOPPING=1") {
		t.Errorf("failed with %v", errs)
	}
	Manager{}.Run(t.Context(), nil, yes, noFailure(t)) // does not wait either
}

func TestFromEnv(t *testing.T) {
	for _, c := range []struct {
		socket, usec, pid string
		want              Manager
		err               string
	}{
		{"", "1000", "", Manager{}, ""},
		{"/run/n", "", "", Manager{"/run/n", 0}, ""},
		{"@n", "2000000", "", Manager{"@n", 2 * time.Second}, ""},
		{"@n", "2000000", "7", Manager{"@n", 2 * time.Second}, ""},
		{"@n", "2000000", "8", Manager{"@n", 0}, ""},
		{"vsock:2:1", "", "", Manager{}, "neither a path nor an abstract socket"},
		{"@n", "2s", "", Manager{"@n", 0}, "not a number of microseconds"},
		{"@n", "0", "", Manager{"@n", 0}, "not a number of microseconds"},
		{"@n", "18446744073709551615", "", Manager{"@n", 0}, "not a number of microseconds"},
	} {
		env := map[string]string{"NOTIFY_SOCKET": c.socket, "WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.pid}
		m, err := from(func(k string) string { return env[k] }, 7)
		if m != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: %+v, %v", env, m, err)
		}
	}
}
