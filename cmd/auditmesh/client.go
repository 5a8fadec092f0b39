//go:build !linux

package main

import (
	"context"
	"errors"

	"auditmesh/internal/api"
)

// This stands in for linux.go where the program is a client alone.

// nodeCommands are none.
type nodeCommands struct{}

// noNodeHint says what to do where no node answers in a data directory.
const noNodeHint = "this program is a client alone; nodes run on Linux: bring the socket of one here, for example by `ssh -L`, as api.sock in %s"

// appender commits events through a node that runs.
type appender struct{ client *api.Client }

func (a *app) appender() (*appender, error) { return &appender{a.client()}, nil }

func (p *appender) appendInputs(ctx context.Context, inputs ...[]byte) ([]api.Appended, error) {
	return p.client.Append(ctx, inputs...)
}

// targets are the files that verify looks at. Of a last-signed state nothing is known.
func (a *app) targets(paths []string) ([]target, error) {
	if len(paths) == 0 {
		return nil, &exitError{exitUsage, errors.New("no log of its own is here: name the files, or directories of copies, to verify")}
	}
	list := make([]target, len(paths))
	for i, path := range paths {
		list[i].path = path
	}
	return list, nil
}
