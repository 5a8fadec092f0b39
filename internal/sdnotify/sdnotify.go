// Package sdnotify tells systemd that the process serves, stops, and is alive:
// the protocol of sd_notify(3), of which it speaks READY, STOPPING and WATCHDOG.
// Started by anything else, it does nothing.
package sdnotify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Manager is where systemd listens, and what it expects. The zero value is
// nobody, who expects nothing.
type Manager struct {
	addr     string        // of a unix datagram socket; "@" begins an abstract one
	watchdog time.Duration // after this long without a sign of life it ends us; 0: never
}

// FromEnv is the manager that started this process. An error is one of a
// setting that cannot be used: the manager would wait in vain.
func FromEnv() (Manager, error) { return from(os.Getenv, os.Getpid()) }

func from(getenv func(string) string, pid int) (Manager, error) {
	m := Manager{addr: getenv("NOTIFY_SOCKET")}
	if m.addr == "" {
		return Manager{}, nil
	}
	if !strings.HasPrefix(m.addr, "/") && !strings.HasPrefix(m.addr, "@") {
		return Manager{}, fmt.Errorf("NOTIFY_SOCKET %q is neither a path nor an abstract socket, the only ones that are supported", m.addr)
	}
	usec, of := getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID")
	if usec == "" || of != "" && of != strconv.Itoa(pid) { // meant for another process
		return m, nil
	}
	n, err := strconv.ParseUint(usec, 10, 40)
	if err != nil || n == 0 {
		return m, fmt.Errorf("WATCHDOG_USEC %q is not a number of microseconds", usec)
	}
	m.watchdog = time.Duration(n) * time.Microsecond
	return m, nil
}

// Run says READY=1 once ready is closed, and from then on WATCHDOG=1 twice in
// each of the watchdog's periods, as long as alive returns true. While alive does
// not return, nothing is said. Once ctx ends it says STOPPING=1 at once, whatever
// alive does, and Run returns. failed is told of what could not be sent.
func (m Manager) Run(ctx context.Context, ready <-chan struct{}, alive func() bool, failed func(error)) {
	if m.addr == "" {
		return
	}
	say := func(state string) {
		if err := m.send(state); err != nil {
			failed(fmt.Errorf("tell systemd %s: %w", state, err))
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
			return
		case <-ready:
		}
		say("READY=1")
		m.showLife(ctx, alive, say)
	}()
	<-ctx.Done()
	say("STOPPING=1")
	select { // a last sign of life may be on its way; one that hangs is not waited for
	case <-done:
	case <-time.After(time.Second):
	}
}

func (m Manager) showLife(ctx context.Context, alive func() bool, say func(string)) {
	if m.watchdog == 0 {
		return
	}
	ticker := time.NewTicker(m.watchdog / 2)
	defer ticker.Stop()
	for {
		if alive() && ctx.Err() == nil {
			say("WATCHDOG=1")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (m Manager) send(state string) error {
	// net takes "@" at the beginning for an abstract socket, as systemd does.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.addr, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = c.Write([]byte(state))
	return errors.Join(err, c.Close())
}
