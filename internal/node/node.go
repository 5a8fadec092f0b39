// Package node joins the parts of an auditmesh node: the log, the mirror, the
// mesh and the API. It is the only place that sees all of them. The process is
// a value, which the binary and the tests share.
package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/follow"
	"auditmesh/audit/holdings"
	"auditmesh/gossip"
	"auditmesh/internal/api"
	"auditmesh/mirror"
)

// Version is the version of the program, set when it is built for release.
var Version = "dev"

// Node is one node. Open makes it, Run runs it, Close frees its files.
type Node struct {
	cfg      Config
	id       Identity
	logger   *zap.Logger
	started  time.Time
	now      func() time.Time
	log      *audit.Log       // nil: auditing is disabled
	follower *follow.Follower // nil: nothing is followed
	holdings *holdings.Holdings
	mirror   *mirror.Mirror
	mesh     *gossip.Mesh // nil: no tasklist
	server   *api.Server
}

var _ api.Service = (*Node)(nil)

// Open opens the log (taking its lock), the copies and the view, and checks the
// configuration of the mesh. It listens nowhere.
func Open(cfg Config, logger *zap.Logger) (n *Node, err error) {
	id, err := EnsureIdentity(cfg)
	if err != nil {
		return nil, err
	}
	n = &Node{cfg: cfg, id: id, logger: logger, started: time.Now(), now: time.Now}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if n.log, err = OpenLog(cfg, id, logger); err != nil {
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
	if n.mirror, err = mirror.Open(cfg.viewDir(), n.holdings, logger); err != nil {
		return n, err
	}
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

// OpenLog opens the node's own log as the configuration has it, nil if auditing
// is disabled. The command line uses it too, where no node runs.
func OpenLog(cfg Config, id Identity, logger *zap.Logger) (*audit.Log, error) {
	path := cfg.LogPath()
	if path == "" {
		return nil, nil
	}
	o := audit.Options{
		Path: path, SignedPath: cfg.SignedPath(), Key: id.Key, Logger: logger,
		SegmentBytes: cfg.SegmentBytes, SegmentAge: time.Duration(cfg.SegmentAge), MinFree: cfg.MinFreeBytes, MaxArgvBytes: cfg.MaxArgvBytes,
	}
	l, err := audit.Open(o)
	if errors.Is(err, audit.ErrBehind) || errors.Is(err, audit.ErrNoSignedState) {
		if err = audit.Succeed(o, err); err == nil {
			l, err = audit.Open(o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	if l.Adopted() {
		logger.Warn("an existing file was taken over as this node's log: the mesh will see its old lines",
			zap.String("path", path), zap.Uint64("records", l.Size()))
	}
	return l, nil
}

// Run runs the node until ctx ends, and returns nil then. It may be called once.
func (n *Node) Run(ctx context.Context) error {
	n.logger.Info("node runs", zap.String("node", n.id.Peer), zap.String("data directory", n.cfg.DataDir),
		zap.String("tasklist", n.cfg.AuditTasklistID), zap.Int("pid", os.Getpid()))
	g, ctx := errgroup.WithContext(ctx)
	if n.log != nil {
		g.Go(func() error { return n.log.Run(ctx) })
	}
	if n.follower != nil {
		g.Go(func() error { return n.follower.Run(ctx) })
	}
	g.Go(func() error { return n.mirror.Run(ctx) })
	g.Go(func() error { return n.retain(ctx) })
	g.Go(func() error { return n.server.Run(ctx) })
	if n.mesh != nil {
		g.Go(func() error { return n.mesh.Run(ctx) })
	}
	err := g.Wait()
	n.logger.Info("node stops", zap.Error(err))
	return err
}

// Close commits what waits, signs, and frees the files. Run must have returned.
func (n *Node) Close() error {
	var errs []error
	if n.mirror != nil {
		errs = append(errs, n.mirror.Close())
	}
	if n.holdings != nil {
		n.holdings.Close()
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	return errors.Join(errs...)
}
