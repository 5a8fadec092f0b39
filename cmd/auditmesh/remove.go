package main

import (
	"errors"
	"fmt"

	"auditmesh/internal/api"
)

type removeCmd struct {
	ID     string `arg:"" optional:"" help:"Request id of the task, or the beginning of it."`
	Before string `help:"In place of that: all of this node's records before this time, such as \"30 days ago\"." placeholder:"TIME"`
	Reason string `required:"" help:"Why: it is shown with what was removed."`
}

// Help is the longer help of the command.
func (*removeCmd) Help() string {
	return `Only tasks of this node can be removed, from the view of all members; the records stay in the logs, and tasks --removed
lists them with who removed them, when and why. What a removal had not seen, such as a later outcome, is shown again.`
}

// Run records the removal.
func (c *removeCmd) Run(a *app) error {
	before, err := milliseconds(c.Before, a.now())
	if err != nil {
		return err
	}
	if (c.ID == "") == (before == 0) {
		return &exitError{exitUsage, errors.New("give the request id of a task, or --before")}
	}
	r, err := a.client().Remove(a.ctx, api.Removal{Request: c.ID, Before: before, Reason: c.Reason})
	if err != nil {
		return err
	}
	if a.opts.JSON {
		return a.printJSON(r)
	}
	for _, x := range r.Ranges {
		fmt.Fprintf(a.stderr, "removed: records %d to %d of log %s\n", x.First, x.End-1, short(x.Log.String()))
	}
	return a.printAppended(1, r.Appended)
}
