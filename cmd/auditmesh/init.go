//go:build linux

package main

import (
	"fmt"

	"auditmesh/internal/node"
)

type initCmd struct{}

// Run makes the identity, so that the node can be named in other nodes' lists of
// members before it runs.
func (*initCmd) Run(a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	id, err := node.EnsureIdentity(a.ctx, cfg)
	if err != nil {
		return err
	}
	if a.opts.JSON {
		return a.printJSON(map[string]string{"node": id.Peer, "machine_id": id.Raw.String(), "data_dir": cfg.DataDir})
	}
	fmt.Fprintln(a.stdout, id.Peer)
	return nil
}
