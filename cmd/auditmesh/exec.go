//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sys/unix"

	"auditmesh/audit/event"
)

type execCmd struct {
	FailOpen bool     `help:"Run the command also when its request cannot be recorded."`
	Command  []string `arg:"" passthrough:"" help:"The command and its arguments, after --."`
}

// Help is the longer help of the command.
func (*execCmd) Help() string {
	return `The request is durable before the command starts; if it cannot be made so, the command does not run
(exit code 125), unless --fail-open. To the command it is as if auditmesh were not there: a terminal stays
a terminal, signals and the exit code are passed on. Ctrl-Z does not suspend the command.`
}

// exitNoRecord is the exit code of a command that was not run because its
// request could not be recorded.
const exitNoRecord = 125

// Run runs a command under audit and ends as it did.
func (c *execCmd) Run(a *app) error {
	argv := c.Command
	if len(argv) > 0 && argv[0] == "--" {
		argv = argv[1:]
	}
	if len(argv) == 0 {
		return &exitError{exitUsage, errors.New("exec: give a command after --")}
	}
	p, err := a.appender()
	if err != nil {
		return err
	}
	agent, machine, err := p.identity(a.ctx)
	if err != nil && !c.FailOpen {
		return &exitError{exitNoRecord, err}
	}
	x := execution{
		append: p.append, agent: agent, machine: machine, failOpen: c.FailOpen,
		stdin: a.stdin, stdout: a.stdout.file, stderr: a.stderr, forward: true,
	}
	return a.endAs(x.run(a.ctx, argv))
}

// endAs ends this process as the command ended.
func (a *app) endAs(o outcome, err error) error {
	var noRecord *notRecordedError
	switch {
	case errors.As(err, &noRecord) && !o.ran:
		return &exitError{exitNoRecord, fmt.Errorf("the command was not run: %w", err)}
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return &exitError{exitNotFound, err}
	case err != nil && !o.ran:
		return &exitError{exitCannotRun, err}
	}
	if err != nil { // it ran, and its end could not be recorded
		for line := range strings.Lines(err.Error()) { // one for each record
			fmt.Fprintln(a.stderr, "auditmesh:", printable(strings.TrimSpace(line)))
		}
	}
	if o.signal != 0 {
		dieBy(o.signal)
	}
	return &exitError{code: o.code}
}

// dieBy ends this process by a signal, so that whoever waits for it sees what
// they would see of the command. It returns if the signal does not end it.
func dieBy(sig syscall.Signal) {
	// The command has dumped core already if it was to.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	signal.Reset(sig)
	defaultAction(sig)
	_ = syscall.Kill(os.Getpid(), sig)
	time.Sleep(100 * time.Millisecond) // it comes to any thread; who is alive then was not to die of it
}

// defaultAction gives a signal its default action at the kernel. Go's runtime
// keeps a handler for every signal, which swallows those that end no Go program.
func defaultAction(sig syscall.Signal) {
	var none [4]uint64 // struct sigaction: SIG_DFL, no flags, no restorer, no mask
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
}

// execution runs one command under audit.
type execution struct {
	append         func(context.Context, event.Event) error
	agent, machine event.PartyID
	failOpen       bool
	stdin          *os.File
	stdout, stderr *os.File
	forward        bool // pass on the signals that this process gets
}

// outcome is how a command ended.
type outcome struct {
	id     event.RequestID
	ran    bool
	code   int
	signal syscall.Signal
}

// notRecordedError says that the request could not be made disk.
type notRecordedError struct{ err error }

func (e *notRecordedError) Error() string {
	return "its request could not be recorded: " + e.err.Error()
}
func (e *notRecordedError) Unwrap() error { return e.err }

func nowMS() uint64 { return uint64(time.Now().UnixMilli()) }

// run records the request, runs the command, and records how it ended. An error
// with ran set means that the command ran and a later record was not committed.
func (x *execution) run(ctx context.Context, argv []string) (o outcome, err error) {
	rand.Read(o.id[:]) // never fails, see crypto/rand
	recorded := make([]string, len(argv))
	for i, arg := range argv {
		recorded[i] = recordable(arg)
	}
	err = x.append(ctx, &event.Request{TSUnixMS: nowMS(), RequestID: o.id, AgentID: x.agent, MachineID: x.machine, Argv: recorded})
	if err != nil && !x.failOpen {
		return o, &notRecordedError{err}
	}
	var late []error // records of this execution that were not committed
	note := func(e event.Event) {
		if err := x.append(ctx, e); err != nil {
			late = append(late, fmt.Errorf("the %s of this command was not recorded: %w", e.Name(), err))
		}
	}
	if err != nil {
		late = append(late, &notRecordedError{err})
	}
	var caught *signals
	if x.forward {
		caught = catchSignals()
		defer caught.stop()
	}
	io, err := x.plan()
	if err != nil {
		return o, err
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // the command ends when it does, and our signals are passed on
	io.attach(cmd)
	if io.own {
		if err := io.takeTerminal(); err != nil {
			io.abandon()
			return o, err
		}
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		io.abandon()
		note(&event.Denial{TSUnixMS: nowMS(), RequestID: o.id, AgentID: x.agent, MachineID: x.machine, Argv: recorded, Reason: "spawn_failed"})
		return o, errors.Join(append([]error{err}, late...)...)
	}
	o.ran = true
	stop := io.start()
	if x.forward {
		caught.forward(cmd.Process, io.own)
	}
	note(&event.Started{TSUnixMS: nowMS(), RequestID: o.id, PID: uint32(cmd.Process.Pid)})
	waitErr := cmd.Wait()
	took := time.Since(begin)
	out, errBytes := stop()
	exit := &event.Exit{TSUnixMS: nowMS(), RequestID: o.id, DurationMS: uint64(took.Milliseconds()), StdoutBytes: out, StderrBytes: errBytes}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case !ok:
		late = append(late, fmt.Errorf("wait for the command: %w", waitErr))
	case status.Signaled():
		o.signal = status.Signal()
		n := int32(o.signal)
		exit.Signal = &n
		o.code = 128 + int(o.signal)
	default:
		o.code = status.ExitStatus()
		n := int32(o.code)
		exit.Code = &n
	}
	note(exit)
	return o, errors.Join(late...)
}

// recordable makes an argument a JSON string without loss: one that is not valid
// UTF-8, or looks as if it had been made so, is written in the shell's $'…'
// quotes, with \xNN for the bytes that are no text (docs/formats.md).
func recordable(arg string) string {
	if utf8.ValidString(arg) && !strings.HasPrefix(arg, "$'") {
		return arg
	}
	var b strings.Builder
	b.WriteString("$'")
	for i, r := range arg {
		_, n := utf8.DecodeRuneInString(arg[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, arg[i])
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
