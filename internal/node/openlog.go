package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"auditmesh/audit"
	"auditmesh/internal/api"
)

const (
	// LogWait bounds how long a log is waited for that another process has open:
	// an `append` or `exec` without a node has it for some milliseconds, and a node
	// that starts answers soon.
	LogWait = 30 * time.Second
	// LogPause is the pause between two looks at it.
	LogPause = 20 * time.Millisecond
)

// OpenLog opens the node's own log as the configuration has it, nil if auditing
// is disabled. The command line uses it too, where no node runs. It does not wait
// for a log that is in use: audit.ErrLocked.
func OpenLog(cfg Config, id Identity, logger *slog.Logger) (*audit.Log, error) {
	path := cfg.LogPath()
	if path == "" {
		return nil, nil
	}
	o := audit.Options{
		Path: path, SignedPath: cfg.SignedPath(), Key: id.Key, Logger: logger,
		SegmentBytes: cfg.SegmentBytes, SegmentAge: cfg.SegmentAge.Std(), MinFree: cfg.MinFreeBytes, MaxArgvBytes: int(cfg.MaxArgvBytes),
	}
	l, err := audit.OpenOrCreate(o)
	if errors.Is(err, audit.ErrBehind) || errors.Is(err, audit.ErrNoSignedState) {
		if err = audit.Succeed(o, err); err == nil {
			l, err = audit.OpenOrCreate(o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	if l.Adopted() {
		logger.Warn("an existing file was taken over as this node's log: the mesh will see its old lines",
			slog.String("path", path), slog.Uint64("records", l.Size()))
	}
	return l, nil
}

// waitForLog is OpenLog for a node that starts. It waits while an `append` or an
// `exec` has the log, for at most LogWait, and not for another node.
func waitForLog(ctx context.Context, cfg Config, id Identity, logger *slog.Logger) (*audit.Log, error) {
	ctx, cancel := context.WithTimeout(ctx, LogWait)
	defer cancel()
	for {
		l, err := OpenLog(cfg, id, logger)
		if !errors.Is(err, audit.ErrLocked) {
			return l, err
		}
		if c, dialErr := api.Dial(ctx, cfg.SocketPath()); dialErr == nil {
			c.Close()
			return nil, fmt.Errorf("a node runs in %s already: %w", cfg.DataDir, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w; it was waited for (at most %s)", err, LogWait)
		case <-time.After(LogPause):
		}
	}
}
