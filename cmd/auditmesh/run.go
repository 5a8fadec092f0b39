package main

import (
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"auditmesh/audit"
	"auditmesh/internal/node"
)

type runCmd struct{}

// memoryLimit is where Go begins to collect hard instead of growing: folding at
// full speed the view's database leaves garbage behind faster than it is due
// otherwise. GOMEMLIMIT overrides it.
const memoryLimit = 400 << 20

// Run runs the node until a signal ends it.
func (*runCmd) Run(a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	logger := node.NewLogger(a.stderr, cfg.LogLevel)
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	// Beyond a limit of file sizes a write fails, which the log deals with; by
	// default the kernel would end the process.
	signal.Ignore(syscall.SIGXFSZ)
	n, err := node.Open(a.ctx, cfg, logger)
	if err != nil {
		if errors.Is(err, audit.ErrLocked) {
			return &exitError{exitFailed, err}
		}
		return err
	}
	return errors.Join(n.Run(a.ctx), n.Close())
}
