//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"auditmesh/audit/event"
	"auditmesh/internal/api"
	"auditmesh/internal/node"
	"auditmesh/mirror"
)

type demoCmd struct {
	Keep    bool          `help:"Keep the three data directories."`
	Timeout time.Duration `default:"30s" help:"How long each convergence may take."`
}

// demo is three nodes in this process.
type demo struct {
	a     *app
	nodes [3]*demoNode
	limit time.Duration
}

type demoNode struct {
	name string
	cfg  node.Config
	node *node.Node
	stop func() error
}

// Run is the demo. It fails if the nodes do not converge.
func (c *demoCmd) Run(a *app) (err error) {
	dir, err := os.MkdirTemp("", "auditmesh-demo-")
	if err != nil {
		return err
	}
	if c.Keep {
		fmt.Fprintf(a.stdout, "Data directories: %s\n", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	d := &demo{a: a, limit: c.Timeout}
	defer func() {
		for _, n := range d.nodes {
			if n != nil && n.stop != nil {
				err = errors.Join(err, n.stop())
			}
		}
	}()
	if err := d.setUp(dir); err != nil {
		return err
	}
	return d.play()
}

// setUp makes three data directories, each with the others' peer ids and addresses.
func (d *demo) setUp(dir string) error {
	var members, addresses []string
	for i, name := range []string{"ada", "bob", "cyd"} {
		cfg, err := node.LoadConfig(filepath.Join(dir, name), "")
		if err != nil {
			return err
		}
		id, err := node.EnsureIdentity(d.a.ctx, cfg)
		if err != nil {
			return err
		}
		port, err := freePort()
		if err != nil {
			return err
		}
		listen := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)
		members, addresses = append(members, id.Peer), append(addresses, listen+"/p2p/"+id.Peer)
		cfg.AuditTasklistID, cfg.Listen = "demo", []string{listen}
		d.nodes[i] = &demoNode{name: name, cfg: cfg}
	}
	for _, n := range d.nodes {
		n.cfg.Members, n.cfg.Bootstrap = members, addresses
		if err := n.start(d.a.ctx); err != nil {
			return fmt.Errorf("start %s: %w", n.name, err)
		}
	}
	return nil
}

func freePort() (int, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (n *demoNode) start(ctx context.Context) (err error) {
	if n.node, err = node.Open(ctx, n.cfg, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- n.node.Run(ctx) }()
	n.stop = func() error {
		cancel()
		n.stop = nil
		return errors.Join(<-done, n.node.Close())
	}
	return nil
}

// exec runs a real command under audit on a node, without showing its output.
func (n *demoNode) exec(ctx context.Context, argv ...string) error {
	sink, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer sink.Close()
	id := n.node.Identity()
	x := execution{
		append: func(ctx context.Context, e event.Event) error {
			line, err := event.Encode(e)
			if err != nil {
				return err
			}
			return n.node.Append(ctx, [][]byte{line[:len(line)-1]})[0].Err()
		},
		agent: id.Agent, machine: id.Machine, stdin: sink, stdout: sink, stderr: sink,
	}
	if o, err := x.run(ctx, argv); err != nil && (o.ran || !errors.Is(err, exec.ErrNotFound)) {
		return err
	}
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.a.stdout, format+"\n", args...) }

func (d *demo) play() error {
	ada, bob, cyd := d.nodes[0], d.nodes[1], d.nodes[2]
	d.say("Three nodes on loopback: ada %s, bob %s, cyd %s.\n", short(ada.node.Identity().Node), short(bob.node.Identity().Node), short(cyd.node.Identity().Node))
	d.say("1. Each runs commands under audit.")
	if err := d.commands([]*demoNode{ada, bob, cyd}, 4); err != nil {
		return err
	}
	first, err := d.converge()
	if err != nil {
		return err
	}
	d.say("\n2. cyd goes offline. The others go on.")
	if err := cyd.stop(); err != nil {
		return err
	}
	if err := d.commands([]*demoNode{ada, bob}, 6); err != nil {
		return err
	}
	d.say("\n3. cyd ran a command of its own meanwhile, alone, and comes back.")
	if err := d.offline(cyd); err != nil {
		return err
	}
	begin := time.Now()
	if err := cyd.start(d.a.ctx); err != nil {
		return err
	}
	if _, err := d.converge(); err != nil {
		return err
	}
	second := time.Since(begin)
	if err := d.newest(); err != nil {
		return err
	}
	st, err := ada.node.Status(d.a.ctx, true)
	if err != nil {
		return err
	}
	d.say("\nConverged: 3 nodes, %d tasks, one view %s…; live in %s, after being offline in %s.", *st.Tasks, st.ViewHash[:16], first.Round(time.Millisecond), second.Round(time.Millisecond))
	return nil
}

// demoCommands are real, and different in how they end.
var demoCommands = [][]string{
	{"uname", "-sr"}, {"ls", "-la", "/"}, {"sh", "-c", "exit 3"}, {"date", "-u"}, {"sh", "-c", "kill -TERM $$"}, {"no-such-command", "--help"},
}

func (d *demo) commands(nodes []*demoNode, count int) error {
	g, ctx := errgroup.WithContext(d.a.ctx)
	for _, n := range nodes {
		g.Go(func() error {
			for i := range count {
				if err := n.exec(ctx, demoCommands[i%len(demoCommands)]...); err != nil {
					return fmt.Errorf("on %s: %w", n.name, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// offline appends to a node's log while the node does not run, as `exec` does.
func (d *demo) offline(n *demoNode) (err error) {
	id, err := node.EnsureIdentity(d.a.ctx, n.cfg)
	if err != nil {
		return err
	}
	log, err := node.OpenLog(n.cfg, id, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	sink, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer sink.Close()
	x := execution{
		append: func(ctx context.Context, e event.Event) error { _, err := log.Append(ctx, e); return err },
		agent:  id.Raw, machine: id.Raw, stdin: sink, stdout: sink, stderr: sink,
	}
	_, err = x.run(d.a.ctx, []string{"hostname"})
	return err
}

// converge waits until all nodes that run have the same holdings and view, with
// every record of their own in it, and prints both.
func (d *demo) converge() (time.Duration, error) {
	begin := time.Now()
	for {
		list, same, err := d.states()
		if err != nil {
			return 0, err
		}
		took := time.Since(begin)
		if same || took > d.limit {
			var rows [][]string
			for i, st := range list {
				rows = append(rows, []string{"   " + d.nodes[i].name, fmt.Sprint(st.Size), fmt.Sprint(*st.Tasks), st.Holdings[:16] + "…", st.ViewHash[:16] + "…"})
			}
			if err := table(d.a.stdout, []string{"   NODE", "OWN RECORDS", "TASKS", "HOLDINGS", "VIEW"}, rows); err != nil {
				return 0, err
			}
			if !same {
				return 0, &exitError{exitFailed, fmt.Errorf("NOT converged after %s", took.Round(time.Millisecond))}
			}
			d.say("   equal after %s", took.Round(time.Millisecond))
			return took, nil
		}
		select {
		case <-d.a.ctx.Done():
			return 0, d.a.ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (d *demo) states() (list []api.Status, same bool, err error) {
	same = true
	var total uint64
	for _, n := range d.nodes {
		st, err := n.node.Status(d.a.ctx, true)
		if err != nil {
			return nil, false, err
		}
		total += st.Size
		list = append(list, st)
		same = same && st.Holdings == list[0].Holdings && st.ViewHash == list[0].ViewHash && len(st.Vector) == len(d.nodes)
	}
	for _, st := range list {
		var folded uint64
		for _, h := range st.Vector {
			folded += h.Size
		}
		same = same && folded == total
	}
	return list, same, nil
}

// newest shows the newest tasks, as cyd sees them.
func (d *demo) newest() error {
	page, err := d.nodes[2].node.Tasks(d.a.ctx, mirror.TaskQuery{Limit: 8})
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, n := range d.nodes {
		names[n.node.Identity().Node] = n.name
	}
	d.say("\n   The newest tasks, as cyd sees them:")
	var rows [][]string
	for _, it := range page.Tasks {
		rows = append(rows, []string{"   " + clock(it.Time), names[it.Node], result(it), strings.TrimSpace(truncate(printableArgv(it.Argv), 60))})
	}
	return table(d.a.stdout, []string{"   TIME", "NODE", "RESULT", "COMMAND"}, rows)
}
