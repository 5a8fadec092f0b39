package main

import (
	"errors"
	"fmt"
	"slices"

	"auditmesh/crdt"
	"auditmesh/internal/api"
	"auditmesh/mirror"
)

type tasksCmd struct {
	filterFlags
	stateFlags
	Lines       int    `short:"n" default:"50" help:"How many tasks to list."`
	Oldest      bool   `help:"Oldest first."`
	Removed     bool   `help:"Also tasks that were removed from the view."`
	OnlyRemoved bool   `help:"Only those."`
	Follow      bool   `short:"f" help:"Go on with tasks as they change."`
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
	if err := a.warnLacking(); err != nil {
		return err
	}
	if c.Follow {
		if c.Oldest || c.After != "" {
			return &exitError{exitUsage, errors.New("--follow begins with the newest tasks: give it without --oldest and --after")}
		}
		return c.follow(a, filter)
	}
	all, err := c.list(a, filter)
	if err != nil {
		return err
	}
	if a.opts.JSON {
		return a.printJSON(all)
	}
	rows := make([][]string, len(all.Tasks))
	for i, it := range all.Tasks {
		rows[i] = a.taskRow(it)
	}
	if err := table(a.stdout, []string{"TIME", "NODE", "TASK", "RESULT", "TOOK", "COMMAND"}, rows); err != nil {
		return err
	}
	a.legend(all.Ahead, len(all.Tasks), "tasks")
	if all.Next != "" {
		fmt.Fprintf(a.stderr, "There are more: --after %s\n", all.Next)
	}
	return nil
}

func (a *app) taskRow(t api.Task) []string {
	it := t.Item
	return []string{a.when(it.Time), short(it.Node), short(it.RequestID), result(it), took(it), truncate(printableArgv(it.Argv), 80)}
}

// list gets as many tasks as were asked for, if there are.
func (c *tasksCmd) list(a *app, filter mirror.Filter) (api.TaskPage, error) {
	all := api.TaskPage{Tasks: []api.Task{}, Next: c.After}
	for first := true; first || all.Next != "" && len(all.Tasks) < c.Lines; first = false {
		page, err := a.client().Tasks(a.ctx, mirror.TaskQuery{Filter: filter, Oldest: c.Oldest, Limit: c.Lines - len(all.Tasks), After: all.Next})
		if err != nil {
			return all, err
		}
		all.Tasks, all.Next = append(all.Tasks, page.Tasks...), page.Next
		all.Ahead, all.Damaged = all.Ahead+page.Ahead, page.Damaged
	}
	return all, nil
}

// follow prints the newest tasks, oldest first, and then tasks as they change, a
// line each; with --json what the node tells.
func (c *tasksCmd) follow(a *app, filter mirror.Filter) error {
	begun := func() error {
		page, err := c.list(a, filter)
		a.legend(page.Ahead, len(page.Tasks), "tasks")
		for _, it := range slices.Backward(page.Tasks) {
			err = errors.Join(err, c.changed(a, api.Change{Node: it.Node, RequestID: it.RequestID, Task: &it}))
		}
		return err
	}
	return a.client().Changes(a.ctx, filter, begun, func(change api.Change) error { return c.changed(a, change) })
}

func (c *tasksCmd) changed(a *app, change api.Change) error {
	switch {
	case a.opts.JSON:
		return writeJSON(a.stdout, change, "")
	case change.Missed > 0:
		fmt.Fprintf(a.stderr, "What %d records changed was missed, they came too fast: `auditmesh tasks` lists how it is now\n", change.Missed)
		return nil
	case change.Task == nil:
		_, err := fmt.Fprintf(a.stdout, "%23s  %-8s  %-8s  no longer matches\n", "", short(change.Node), short(change.RequestID))
		return err
	}
	row := a.taskRow(*change.Task)
	_, err := fmt.Fprintf(a.stdout, "%s  %-8s  %-8s  %-16s  %6s  %s\n", row[0], row[1], row[2], row[3], row[4], row[5])
	return err
}

func took(it crdt.Item) string {
	if it.Outcome == nil {
		return "-"
	}
	return duration(it.Outcome.DurationMS)
}
