package main

import (
	"fmt"
	"runtime"

	"auditmesh/crdt"
	"auditmesh/internal/node"
)

type versionCmd struct{}

// Run prints the version.
func (*versionCmd) Run(a *app) error {
	if a.opts.JSON {
		return a.printJSON(map[string]string{"version": node.Version, "go": runtime.Version(), "fold": crdt.FoldVersion})
	}
	_, err := fmt.Fprintf(a.stdout, "auditmesh %s (%s, fold %s)\n", node.Version, runtime.Version(), crdt.FoldVersion)
	return err
}
