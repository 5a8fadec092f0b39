// Command auditmesh runs a node of the audit mesh, and asks a running one.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"auditmesh/internal/api"
)

// Exit codes, for scripts.
const (
	exitOK      = 0
	exitFailed  = 1 // it did not work, or verify found something
	exitUsage   = 2 // the command line or the configuration is wrong
	exitNoNode  = 3 // no node runs in the data directory
	exitRefused = 4 // the node or the log refused an event
	// 126, 127 and 128+n are those of exec's command, as a shell has them.
	exitCannotRun = 126
	exitNotFound  = 127
)

// cli is the command line.
type cli struct {
	DataDir string `help:"Directory of the node: identity, log, copies, view, socket. Default: $$XDG_DATA_HOME/auditmesh." env:"AUDITMESH_DATA_DIR" placeholder:"DIR"`
	Config  string `help:"Configuration file. Default: config.toml in the data directory." placeholder:"FILE"`
	JSON    bool   `help:"Print JSON for programs instead of text for people."`

	nodeCommands
	Append appendCmd `cmd:"" help:"Append events, one JSON object a line, from standard input or arguments."`
	Log    logCmd    `cmd:"" help:"Show records of all nodes, or of one."`
	Tasks  tasksCmd  `cmd:"" help:"List tasks, newest first."`
	Show   showCmd   `cmd:"" help:"Show a task, or all that have one request id."`
	Remove removeCmd `cmd:"" help:"Retire tasks of this node from the shared view."`
	Review reviewCmd `cmd:"" help:"Review a task: claim, complete, release, note."`
	Status statusCmd `cmd:"" help:"Show the node's state."`
	Peers  peersCmd  `cmd:"" help:"List the members of the mesh."`
	Verify verifyCmd `cmd:"" help:"Check a log or a copy, as it is on the disk, against its checkpoints."`
	Proof  proofCmd  `cmd:"" help:"Prove a record, or that a log was only added to, to anyone."`

	Version versionCmd `cmd:"" help:"Print the version."`
}

// app is what a command works with.
type app struct {
	ctx    context.Context
	stdin  *os.File
	stdout *output
	stderr *os.File
	opts   *cli
	now    func() time.Time
}

// exitError ends the program with a code and, if it is not empty, a message.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin, stdout, stderr *os.File) int {
	out := &output{file: stdout}
	return out.delivered(runTo(args, stdin, out, stderr), stderr)
}

func runTo(args []string, stdin *os.File, stdout *output, stderr *os.File) int {
	var opts cli
	code := -1
	parser, err := kong.New(&opts, kong.Name("auditmesh"), kong.Writers(stdout, stderr), kong.Exit(func(c int) { code = c }),
		kong.Description("An audit log on every node, and one shared view of them all."),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(stderr, "auditmesh:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(joinTimes(args))
	if code >= 0 { // --help
		return code
	}
	if err != nil {
		fmt.Fprintln(stderr, "auditmesh:", err, "(see auditmesh --help)")
		return exitUsage
	}
	if opts.DataDir == "" {
		if opts.DataDir, err = defaultDataDir(); err != nil {
			fmt.Fprintln(stderr, "auditmesh:", err)
			return exitUsage
		}
	}
	if opts.DataDir, err = filepath.Abs(opts.DataDir); err != nil {
		fmt.Fprintln(stderr, "auditmesh:", err)
		return exitUsage
	}
	a := &app{ctx: context.Background(), stdin: stdin, stdout: stdout, stderr: stderr, opts: &opts, now: time.Now}
	if parsed.Selected().Name != "exec" { // exec passes its signals on
		ctx, stop := signal.NotifyContext(a.ctx, syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		a.ctx = ctx
	}
	return a.code(parsed.Run(a, parsed.Selected().Name)) // review's acts are told apart by their names
}

// code is the exit code for a command's error, which it prints.
func (a *app) code(err error) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		if code, err = exit.code, exit.err; err == nil {
			return code
		}
	case errors.Is(err, api.ErrNoNode):
		code = exitNoNode
		err = fmt.Errorf("%w (%s): %s", err, a.opts.DataDir, fmt.Sprintf(noNodeHint, a.opts.DataDir))
	}
	if errors.Is(err, context.Canceled) && a.ctx.Err() != nil {
		err = errors.New("interrupted: what was printed is a part")
	}
	fmt.Fprintln(a.stderr, "auditmesh:", printable(err.Error()))
	return code
}

func defaultDataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "auditmesh"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("no home directory is known: give --data-dir")
	}
	return filepath.Join(home, ".local", "share", "auditmesh"), nil
}

// client asks the running node.
func (a *app) client() *api.Client {
	return api.NewClient(filepath.Join(a.opts.DataDir, api.SocketName))
}

// printJSON prints a value for programs, indented.
func (a *app) printJSON(v any) error { return writeJSON(a.stdout, v, "  ") }
