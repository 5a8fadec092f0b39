package main

import (
	"errors"

	"auditmesh/audit"
	"auditmesh/internal/node"
)

type runCmd struct{}

// Run runs the node until a signal ends it.
func (*runCmd) Run(a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	logger := node.NewLogger(a.stderr, cfg.LogLevel)
	n, err := node.Open(cfg, logger)
	if err != nil {
		if errors.Is(err, audit.ErrLocked) {
			return &exitError{exitFailed, err}
		}
		return err
	}
	return errors.Join(n.Run(a.ctx), n.Close())
}
