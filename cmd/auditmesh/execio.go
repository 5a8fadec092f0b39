//go:build linux

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// execIO is what stands between the command and our own standard streams:
// pseudo-terminals where there is a terminal, pipes elsewhere, counting what
// passes. Standard input is handed over as it is, unless it is the terminal
// that the command is to control.
type execIO struct {
	x      *execution
	own    bool // the command has a session and a terminal of its own
	master *os.File
	slave  *os.File

	child  [3]*os.File // what the command gets
	close  []*os.File  // our ends of the command's files, closed once it has them
	copies []*countedCopy
	undo   []func()
}

// countedCopy moves what the command writes to where it would have written.
type countedCopy struct {
	from, to *os.File
	isErr    bool
	n        atomic.Uint64
	done     chan struct{}
}

// drainQuiet is how long output may pause, after the command ended, before what
// still holds its end open (a process left in the background) is left alone.
const drainQuiet = 250 * time.Millisecond

func isTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// plan opens the files.
func (x *execution) plan() (*execIO, error) {
	p := &execIO{x: x, child: [3]*os.File{x.stdin, nil, nil}}
	inTTY, outTTY, errTTY := isTerminal(x.stdin), isTerminal(x.stdout), isTerminal(x.stderr)
	if outTTY {
		var err error
		if p.master, p.slave, err = pty.Open(); err != nil {
			return nil, err
		}
		p.close = append(p.close, p.slave)
		p.child[1] = p.slave
		p.add(p.master, x.stdout, false)
		if inTTY {
			p.own, p.child[0] = true, p.slave
		} else if _, err := term.MakeRaw(int(p.slave.Fd())); err != nil {
			// Our own terminal makes the line ends; twice would be once too often.
			p.abandon()
			return nil, err
		}
	} else if err := p.pipe(1, x.stdout, false); err != nil {
		return nil, err
	}
	if errTTY && p.slave != nil {
		p.child[2] = p.slave
		return p, nil
	}
	if err := p.pipe(2, x.stderr, true); err != nil {
		p.abandon()
		return nil, err
	}
	return p, nil
}

func (p *execIO) pipe(fd int, to *os.File, isErr bool) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	p.child[fd] = w
	p.close = append(p.close, w)
	p.add(r, to, isErr)
	return nil
}

func (p *execIO) add(from, to *os.File, isErr bool) {
	p.copies = append(p.copies, &countedCopy{from: from, to: to, isErr: isErr, done: make(chan struct{})})
}

func (p *execIO) attach(cmd *exec.Cmd) {
	// Assigned only if set: an interface that holds a nil file is not nil.
	if p.child[0] != nil {
		cmd.Stdin = p.child[0]
	}
	cmd.Stdout, cmd.Stderr = p.child[1], p.child[2]
	if p.own {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	}
	if p.master != nil {
		// The size is there before the command can ask for it.
		_ = pty.InheritSize(p.x.stdout, p.master)
	}
}

// abandon closes everything for a command that did not start.
func (p *execIO) abandon() {
	for _, f := range p.close {
		f.Close()
	}
	for _, c := range p.copies {
		c.from.Close()
	}
	p.restore()
}

func (p *execIO) restore() {
	for i := len(p.undo) - 1; i >= 0; i-- {
		p.undo[i]()
	}
}

// start moves bytes until the command has ended and its output is drained; stop
// waits for that and returns the bytes of both outputs.
func (p *execIO) start() (stop func() (out, errs uint64)) {
	for _, f := range p.close {
		f.Close()
	}
	for _, c := range p.copies {
		go c.run()
	}
	if p.master != nil {
		p.followSize()
	}
	if p.own {
		go func() { _, _ = io.Copy(p.master, p.x.stdin) }() // what is typed
	}
	return func() (out, errs uint64) {
		for _, c := range p.copies {
			c.drain()
			if c.isErr {
				errs += c.n.Load()
			} else {
				out += c.n.Load()
			}
		}
		p.restore()
		return out, errs
	}
}

// takeTerminal makes our terminal pass on every key as it is, to the one that
// the command has. It comes before the command starts: a key or a line that came
// between would be ours, or have two line ends.
func (p *execIO) takeTerminal() error {
	fd := int(p.x.stdin.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return err
	}
	p.undo = append(p.undo, func() { _ = term.Restore(fd, old) })
	return nil
}

func (p *execIO) followSize() {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGWINCH)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-ch:
				_ = pty.InheritSize(p.x.stdout, p.master)
			case <-done:
				return
			}
		}
	}()
	p.undo = append(p.undo, func() { signal.Stop(ch); close(done) })
}

func (c *countedCopy) run() {
	defer close(c.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := c.from.Read(buf)
		if n > 0 {
			c.n.Add(uint64(n))
			if _, err := c.to.Write(buf[:n]); err != nil {
				// Whoever read us is gone. So is the command's reader then: it
				// gets SIGPIPE, or EIO, as it would have.
				c.from.Close()
				return
			}
		}
		if err != nil { // EOF, or EIO from a terminal that nobody has open
			return
		}
	}
}

// drain waits for the rest of the output, as long as there is any.
func (c *countedCopy) drain() {
	for seen := c.n.Load(); ; {
		select {
		case <-c.done:
			return
		case <-time.After(drainQuiet):
			if now := c.n.Load(); now == seen {
				return
			} else {
				seen = now
			}
		}
	}
}

// signals are what this process is sent while a command runs.
type signals struct {
	ch   chan os.Signal
	done chan struct{}
}

// catchSignals keeps signals for the command. It comes before the command
// starts, so that none ends this process and leaves the command unrecorded.
func catchSignals() *signals {
	s := &signals{make(chan os.Signal, 16), make(chan struct{})}
	signal.Notify(s.ch, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGCONT,
		syscall.SIGPIPE) // a reader of ours that went away is the command's to die of, not ours
	return s
}

// forward passes them on. With a terminal of its own the command gets the
// keyboard's signals from there; without, it is in our process group, and the
// kernel gives it those itself.
func (s *signals) forward(to *os.Process, own bool) {
	go func() {
		for {
			select {
			case sig := <-s.ch:
				if sig == syscall.SIGPIPE || !own && fromKeyboard(sig) {
					continue
				}
				if err := to.Signal(sig); errors.Is(err, os.ErrProcessDone) {
					return
				}
			case <-s.done:
				return
			}
		}
	}()
}

func (s *signals) stop() {
	signal.Stop(s.ch)
	close(s.done)
}

// fromKeyboard says whether a signal comes from the terminal that we are in the
// foreground of, as far as can be told: then the command got it too.
func fromKeyboard(sig os.Signal) bool {
	if sig != syscall.SIGINT && sig != syscall.SIGQUIT {
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
