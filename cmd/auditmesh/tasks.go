package main

import (
	"fmt"

	"auditmesh/crdt"
	"auditmesh/internal/api"
)

type tasksCmd struct {
	Lines   int    `short:"n" default:"50" help:"How many tasks to list."`
	Node    string `help:"Only tasks of this node: its peer id, or the end of it." placeholder:"PEER"`
	Removed bool   `help:"Also tasks that were removed from the view."`
	After   string `help:"Go on after the page that printed this cursor." placeholder:"CURSOR"`
}

// Run lists tasks.
func (c *tasksCmd) Run(a *app) error {
	node, err := a.resolveNode(c.Node)
	if err != nil {
		return err
	}
	page, err := a.client().Tasks(a.ctx, api.TaskQuery{Node: node, Removed: c.Removed, Limit: c.Lines, After: c.After})
	if err != nil {
		return err
	}
	if a.opts.JSON {
		return a.printJSON(page)
	}
	rows := make([][]string, len(page.Tasks))
	for i, it := range page.Tasks {
		rows[i] = []string{clock(it.Time), short(it.Node), short(it.RequestID), result(it), took(it), truncate(printableArgv(it.Argv), 80)}
	}
	if err := table(a.stdout, []string{"TIME", "NODE", "TASK", "RESULT", "TOOK", "COMMAND"}, rows); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(a.stderr, "There are more: --after %s\n", page.Next)
	}
	return nil
}

func took(it crdt.Item) string {
	if it.Outcome == nil {
		return "-"
	}
	return duration(it.Outcome.DurationMS)
}
