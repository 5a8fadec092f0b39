package main

import (
	"fmt"

	"auditmesh/crdt"
	"auditmesh/mirror"
)

type tasksCmd struct {
	filterFlags
	stateFlags
	Lines       int    `short:"n" default:"50" help:"How many tasks to list."`
	Oldest      bool   `help:"Oldest first."`
	Removed     bool   `help:"Also tasks that were removed from the view."`
	OnlyRemoved bool   `help:"Only those."`
	After       string `help:"Go on after the page that printed this cursor." placeholder:"CURSOR"`
}

// Help is the longer help of the command.
func (*tasksCmd) Help() string {
	return `Example: what failed or was denied on two machines since yesterday, and nobody has reviewed:

  auditmesh tasks --failed --denied --unreviewed -S yesterday node=SXnYKipt node=vVkDkkzn`
}

// Run lists tasks. Pages that used up their budget are gone on from, until there
// are as many as were asked for.
func (c *tasksCmd) Run(a *app) error {
	filter, err := c.filter(a)
	if err != nil {
		return err
	}
	c.add(&filter)
	filter.Removed, filter.OnlyRemoved = c.Removed, c.OnlyRemoved
	all := mirror.TaskPage{Tasks: []crdt.Item{}, Next: c.After}
	for first := true; first || all.Next != "" && len(all.Tasks) < c.Lines; first = false {
		page, err := a.client().Tasks(a.ctx, mirror.TaskQuery{Filter: filter, Oldest: c.Oldest, Limit: c.Lines - len(all.Tasks), After: all.Next})
		if err != nil {
			return err
		}
		all.Tasks, all.Next = append(all.Tasks, page.Tasks...), page.Next
	}
	if a.opts.JSON {
		return a.printJSON(all)
	}
	rows := make([][]string, len(all.Tasks))
	for i, it := range all.Tasks {
		rows[i] = []string{clock(it.Time), short(it.Node), short(it.RequestID), result(it), took(it), truncate(printableArgv(it.Argv), 80)}
	}
	if err := table(a.stdout, []string{"TIME", "NODE", "TASK", "RESULT", "TOOK", "COMMAND"}, rows); err != nil {
		return err
	}
	if all.Next != "" {
		fmt.Fprintf(a.stderr, "There are more: --after %s\n", all.Next)
	}
	return nil
}

func took(it crdt.Item) string {
	if it.Outcome == nil {
		return "-"
	}
	return duration(it.Outcome.DurationMS)
}
