package main

import (
	"fmt"

	"auditmesh/crdt"
	"auditmesh/internal/version"
)

type versionCmd struct{}

// Run says which build this is, and which rules its view follows.
func (*versionCmd) Run(a *app) error {
	info := version.Read()
	if a.opts.JSON {
		return a.printJSON(struct {
			version.Info
			Fold string `json:"fold"`
		}{info, crdt.FoldVersion})
	}
	_, err := fmt.Fprintf(a.stdout, "auditmesh %s, fold %s\n", info, crdt.FoldVersion)
	return err
}
