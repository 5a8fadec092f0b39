// Package node joins the parts of an auditmesh node: the log, the mirror, the
// mesh and the API. It is the only place that sees all of them. The process is
// a value, which the binary and the tests share.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/follow"
	"auditmesh/audit/holdings"
	"auditmesh/gossip"
	"auditmesh/internal/api"
	"auditmesh/mirror"
)

// Node is one node. Open makes it, Run runs it, Close frees its files.
type Node struct {
	cfg      Config
	id       Identity
	logger   *slog.Logger
	started  time.Time
	now      func() time.Time
	log      *audit.Log       // nil: auditing is disabled
	follower *follow.Follower // nil: nothing is followed
	holdings *holdings.Holdings
	mirror   *mirror.Mirror
	mesh     *gossip.Mesh // nil: no tasklist
	server   *api.Server
	appends  progress
}

var _ api.Service = (*Node)(nil)

// Open opens the log (taking its lock) and the copies, and checks the
// configuration of the mesh. It listens nowhere, and does not open the view: Run
// does. While an `append` or `exec` has the log it waits, at most LogWait.
func Open(ctx context.Context, cfg Config, logger *slog.Logger) (n *Node, err error) {
	id, err := EnsureIdentity(ctx, cfg)
	if err != nil {
		return nil, err
	}
	n = &Node{cfg: cfg, id: id, logger: logger, started: time.Now(), now: time.Now}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if n.log, err = waitForLog(ctx, cfg, id, logger); err != nil {
		return n, err
	}
	if err := claimTasklist(disk.OS{}, cfg); err != nil {
		return n, err
	}
	if path := cfg.FollowPath(); path != "" {
		n.follower = follow.New(n.log, follow.Options{Path: path, CursorPath: cfg.followedPath(), Logger: logger})
	}
	if n.holdings, err = holdings.Open(holdings.Options{
		FS: disk.OS{}, Dir: cfg.copiesDir(), Evidence: cfg.evidenceDir(), Own: n.log, SegmentBytes: cfg.SegmentBytes, Logger: logger,
	}); err != nil {
		return n, err
	}
	n.mirror = mirror.New(cfg.viewDir(), n.holdings, logger)
	if cfg.AuditTasklistID != "" {
		if n.mesh, err = gossip.New(n.meshOptions()); err != nil {
			return n, fmt.Errorf("configuration: %w", err)
		}
	}
	n.server = api.NewServer(n, cfg.SocketPath(), logger)
	return n, nil
}

func (n *Node) meshOptions() gossip.Options {
	o := gossip.Options{
		Tasklist: n.cfg.AuditTasklistID, Key: n.id.Libp2p, Listen: n.cfg.Listen, Bootstrap: n.cfg.Bootstrap,
		Members: n.cfg.Members, Holdings: n.holdings, Logger: n.logger,
	}
	if n.log != nil { // an interface that holds a nil log would not be nil
		o.Own = n.log
	}
	return o
}

const (
	// viewStop bounds how long a node that stops waits for work on the view: a
	// write to its database can hang, where its disk is full.
	viewStop = 3 * time.Second
	// viewClose bounds how long it then waits for the database to close.
	viewClose = 5 * time.Second
)

// Run runs the node until ctx ends, and returns nil then. It may be called once.
//
// What works on the view runs beside the rest: it may fail or hang, and neither
// the log nor the end of the node waits for it beyond viewStop.
func (n *Node) Run(ctx context.Context) error {
	n.logger.Info("node runs", slog.String("node", n.id.Peer), slog.String("data directory", n.cfg.DataDir),
		slog.String("tasklist", n.cfg.AuditTasklistID), slog.Int("pid", os.Getpid()))
	g, ctx := errgroup.WithContext(ctx)
	beside := make(chan error, 1)
	go func() {
		view, ctx := errgroup.WithContext(ctx)
		view.Go(func() error { return n.mirror.Run(ctx) })
		view.Go(func() error { return n.retain(ctx) })
		beside <- view.Wait()
	}()
	if n.log != nil {
		g.Go(func() error { return n.log.Run(ctx) })
	}
	if n.follower != nil {
		g.Go(func() error { return n.follower.Run(ctx) })
	}
	g.Go(func() error { return n.server.Run(ctx) })
	if n.mesh != nil {
		g.Go(func() error { return n.mesh.Run(ctx) })
	}
	err := g.Wait()
	if err != nil {
		n.logger.Error("node stops", slog.Any("error", err))
	} else {
		n.logger.Info("node stops")
	}
	select {
	case viewErr := <-beside:
		err = errors.Join(err, viewErr)
	case <-time.After(viewStop):
		n.logger.Warn("work on the view does not end, and is left behind", slog.Duration("waited", viewStop), slog.Any("view", n.mirror.Err()))
	}
	return err
}

// Close commits what waits, signs, and frees the files, the log and its lock
// first. Run must have returned. A view whose database does not close within
// viewClose is left to the end of the process: it is derived, so nothing is lost.
func (n *Node) Close() error {
	var errs []error
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	if n.holdings != nil {
		n.holdings.Close()
	}
	if n.mirror != nil {
		ctx, cancel := context.WithTimeout(context.Background(), viewClose)
		defer cancel()
		if err := n.mirror.Shutdown(ctx); err != nil {
			n.logger.Warn("the view was not closed", slog.Any("error", err))
		}
	}
	return errors.Join(errs...)
}
