//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/event"
	"auditmesh/internal/api"
	"auditmesh/internal/node"
)

// appender commits events through the running node, or, with none running, by
// opening the log itself, under its lock, for as long as the call takes.
type appender struct {
	cfg    node.Config
	client *api.Client
	logger *slog.Logger
}

func (a *app) appender() (*appender, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	return &appender{cfg, a.client(), node.NewLogger(a.stderr, "warn")}, nil
}

// appendInputs commits events that are given as JSON objects. While another
// process has the log it looks again and again whether a node answers or the log is
// free, for at most node.LogWait: an `append` or `exec` has it for milliseconds, a
// node that starts answers soon, and one that stops soon lets go of it.
func (p *appender) appendInputs(ctx context.Context, inputs ...[]byte) ([]api.Appended, error) {
	for end := time.Now().Add(node.LogWait); ; {
		out, err := p.client.Append(ctx, inputs...)
		if !errors.Is(err, api.ErrNoNode) {
			return out, err
		}
		out, err = p.appendHere(ctx, inputs)
		if !errors.Is(err, audit.ErrLocked) {
			return out, err
		}
		if time.Now().After(end) {
			return out, fmt.Errorf("%w; it was waited for (%s)", err, node.LogWait)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(node.LogPause):
		}
	}
}

func (p *appender) appendHere(ctx context.Context, inputs [][]byte) (out []api.Appended, err error) {
	id, err := node.EnsureIdentity(ctx, p.cfg)
	if err != nil {
		return nil, err
	}
	log, err := node.OpenLog(p.cfg, id, p.logger)
	if err != nil {
		return nil, err
	}
	if log != nil {
		defer func() { err = errors.Join(err, log.Close()) }()
	}
	return node.AppendInputs(ctx, log, inputs), nil
}

// append commits one event. With auditing disabled it is a no-op, as in x0x.
func (p *appender) append(ctx context.Context, e event.Event) error {
	line, err := event.Encode(e)
	if err != nil {
		return err
	}
	out, err := p.appendInputs(ctx, line[:len(line)-1])
	if err != nil {
		return err
	}
	if err := out[0].Err(); !errors.Is(err, api.ErrDisabled) {
		return err
	}
	return nil
}

// identity is who exec acts as.
func (p *appender) identity(ctx context.Context) (agent, machine event.PartyID, err error) {
	id, err := node.EnsureIdentity(ctx, p.cfg)
	if err != nil {
		return agent, machine, fmt.Errorf("who runs this cannot be said: %w", err)
	}
	return p.cfg.Party(id.Raw), id.Raw, nil
}
