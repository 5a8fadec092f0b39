package main

import (
	"fmt"
	"text/tabwriter"

	"auditmesh/crdt"
)

type showCmd struct {
	ID string `arg:"" help:"Request id of the task, or the beginning of it (4 digits or more)."`
}

// Run shows the tasks of all nodes with that request id.
func (c *showCmd) Run(a *app) error {
	if err := a.warnLacking(); err != nil {
		return err
	}
	items, err := a.client().Task(a.ctx, c.ID)
	if err != nil {
		return err
	}
	if a.opts.JSON {
		return a.printJSON(items)
	}
	for i, it := range items {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		a.showTask(it.Item)
	}
	return nil
}

func (a *app) showTask(it crdt.Item) {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("Task", "%s", it.RequestID)
	row("Command", "%s", printableArgv(it.Argv))
	row("Result", "%s", result(it))
	row("Node", "%s", it.Node)
	row("Agent", "%s", it.AgentID)
	row("Machine", "%s", it.MachineID)
	row("Time", "%s", a.when(it.Time))
	if it.PID != nil {
		row("Process", "%d", *it.PID)
	}
	if it.MatchedACL != nil {
		row("Rule", "%s", printable(*it.MatchedACL))
	}
	if o := it.Outcome; o != nil {
		row("Took", "%s", duration(o.DurationMS))
		row("Output", "%s out, %s err%s", bytesText(o.StdoutBytes), bytesText(o.StderrBytes), map[bool]string{true: ", truncated"}[o.Truncated])
	}
	for _, x := range it.Warnings {
		row("Warning", "%s  %s", a.when(x.Time), printable(x.Kind))
	}
	if r := it.Review; r.State != crdt.Empty {
		row("Review", "%s by %s at %s on %s", r.State, printable(r.By), a.when(r.Time), short(r.Node))
	}
	for _, set := range []struct {
		name  string
		value *string
	}{{"Note", it.Review.Note}, {"Priority", it.Review.Priority}, {"Assignee", it.Review.Assignee}} {
		if set.value != nil {
			row(set.name, "%s", printable(*set.value))
		}
	}
	for _, r := range it.Records {
		removed := map[bool]string{true: "  removed"}[r.Removed]
		row("Record", "%s  %s/%d  %s%s", a.when(r.Time), short(r.Log), r.Seq, printable(r.Event), removed)
	}
	for _, r := range it.Removals {
		row("Removal", "%s  %s/%d  %s", a.when(r.Time), short(r.Log), r.Seq, printable(r.Reason))
	}
}
