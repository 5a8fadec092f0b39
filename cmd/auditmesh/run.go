//go:build linux

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/libp2p/go-libp2p/gologshim"

	"auditmesh/audit"
	"auditmesh/gossip"
	"auditmesh/internal/node"
	"auditmesh/internal/sdnotify"
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
	gologshim.SetDefaultHandler(gossip.LibraryHandler(logger)) // of this process alone, before libp2p says anything
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
	told := tellManager(a.ctx, n, logger)
	err = n.Run(a.ctx)
	told()
	return errors.Join(err, n.Close())
}

// tellManager tells systemd, if it started us, when the node serves, that the log
// answers, and when the node stops. The function that it returns says the last
// where the node ended by itself, and waits until it is said.
func tellManager(ctx context.Context, n *node.Node, logger *slog.Logger) (stop func()) {
	warn := func(err error) { logger.Warn("the service manager does not hear of this node", slog.Any("error", err)) }
	manager, err := sdnotify.FromEnv()
	if err != nil {
		warn(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		manager.Run(ctx, n.Ready(), n.Alive, warn)
	}()
	return func() {
		cancel()
		<-done
	}
}
