//go:build linux

package main

import (
	"maps"
	"path/filepath"
	"slices"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/internal/node"
)

// A node runs on Linux alone. Elsewhere the program is a client: the files that need
// Linux say so in their first line, and client.go stands in for this one.

// nodeCommands need a node's files: its key, its log, its configuration.
type nodeCommands struct {
	Init initCmd   `cmd:"" help:"Make the node's identity key and print its peer id."`
	Run  runCmd    `cmd:"" help:"Run the node."`
	Exec execCmd   `cmd:"" help:"Run a command under audit."`
	Cfg  configCmd `cmd:"" name:"config" help:"Check the configuration."`
	Demo demoCmd   `cmd:"" help:"Run three nodes in this terminal, take one away, and see them converge."`
}

// noNodeHint says what to do where no node runs in a data directory.
const noNodeHint = "start one with `auditmesh run --data-dir %s`"

// config reads the configuration; its errors are usage errors.
func (a *app) config() (node.Config, error) {
	c, err := node.LoadConfig(a.opts.DataDir, a.opts.Config)
	if err != nil {
		return c, &exitError{exitUsage, err}
	}
	return c, nil
}

// targets are the files that verify looks at: those that are given, or the own log
// and all copies.
func (a *app) targets(paths []string) ([]target, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		if paths, err = logPaths(cfg); err != nil {
			return nil, err
		}
	}
	list := make([]target, len(paths))
	for i, path := range paths {
		list[i].path = path
		if own, err := filepath.Abs(path); err == nil && own == cfg.LogPath() {
			list[i].signed = cfg.SignedPath()
		}
	}
	return list, nil
}

// logPaths are a node's own log, its sealed ones, and its copies.
func logPaths(cfg node.Config) (paths []string, err error) {
	if path := cfg.LogPath(); path != "" {
		paths = append(paths, path)
	}
	copies, err := filepath.Glob(filepath.Join(cfg.CopiesDir(), "*", "*"))
	if err != nil {
		return nil, err
	}
	sealed, err := audit.SealedLogs(disk.OS{}, cfg.LogPath())
	if err != nil {
		return nil, err
	}
	return slices.AppendSeq(append(paths, copies...), maps.Values(sealed)), nil
}
