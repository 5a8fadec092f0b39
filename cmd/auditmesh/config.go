//go:build linux

package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"auditmesh/gossip"
	"auditmesh/internal/node"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Say whether the configuration is right, and what it means."`
}

type configCheckCmd struct{}

// Help lists the keys.
func (*configCheckCmd) Help() string {
	return `Keys of config.toml; absent ones have the defaults that are shown:

  audit_log_path    = "log/audit.jsonl"  relative to the data directory; "" disables auditing
  audit_follow_path = ""                 a JSONL file that another program writes, copied into the log
  segment_bytes     = 134217728          bytes at which a segment of the log is sealed
  segment_age       = "0s"               age at which it is, such as "24h"; 0 is never
  min_free_bytes    = 268435456          free space on the log's disk beneath which it warns; 0 does not look
  max_argv_bytes    = 0                  bound of an event's arguments together; 0: a line's own, 1 MiB
  audit_tasklist_id = ""                 the shared view to take part in; "" opens no network
  agent_id          = ""                 64 hex digits: who exec acts for; "" is the node itself
  listen            = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"]
  bootstrap         = []                 members' addresses, each with /p2p/<peer id>
  members           = []                 peer ids that may connect
  log_level         = "info"             debug, info, warn or error

  [retain]                               how much of the own log is kept, in whole segments
  segments = 0                           segments, the one that is written included; 0: all
  bytes    = 0                           bytes of all of them; 0: all
  age      = "0s"                        time since a segment's last record, such as "720h"; 0: for ever

  [retain_copies]                        how much of each other node's log, with the same keys`
}

// Run checks the configuration without opening anything.
func (*configCheckCmd) Run(a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	id, err := node.LoadIdentity(cfg)
	who := id.Peer
	if errors.Is(err, node.ErrNoIdentity) {
		who, err = "none yet: made by `auditmesh init` or the first run", nil
	}
	if err != nil {
		return err
	}
	if cfg.AuditTasklistID != "" && id.Key != nil {
		_, err := gossip.New(gossip.Options{Tasklist: cfg.AuditTasklistID, Key: id.Libp2p, Listen: cfg.Listen, Bootstrap: cfg.Bootstrap, Members: cfg.Members})
		if err != nil {
			return &exitError{exitUsage, err}
		}
	}
	if a.opts.JSON {
		return a.printJSON(struct {
			Node   string      `json:"node"`
			Config node.Config `json:"config"`
		}{id.Peer, cfg})
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Node\t%s\nData\t%s\nLog\t%s\nTasklist\t%s\n", who, cfg.DataDir, orNone(cfg.LogPath()), orNone(cfg.AuditTasklistID))
	for _, l := range cfg.Listen {
		fmt.Fprintf(w, "Listens\t%s\n", l)
	}
	for _, m := range cfg.Members {
		fmt.Fprintf(w, "Member\t%s\n", m)
	}
	fmt.Fprintln(w, "\nThe configuration is right.")
	return w.Flush()
}
