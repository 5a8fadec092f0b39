package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"auditmesh/mirror"
)

// filterFlags choose records and tasks, as journalctl's choose entries. Values of
// one field are alternatives; different fields and flags must all match.
type filterFlags struct {
	Fields []string `arg:"" optional:"" help:"FIELD=VALUE: node, agent, machine, request (the beginning of it, node the end), event, reason, and of tasks state. Values of one field are alternatives; different fields must all match." placeholder:"FIELD=VALUE"`
	Since  string   `short:"S" help:"Not before this time: \"2026-11-24 10:00\", today, yesterday, -2h, \"3 days ago\"." placeholder:"TIME"`
	Until  string   `short:"U" help:"Before this time." placeholder:"TIME"`
	Node   string   `help:"Only of this node: its peer id, or the end of it." placeholder:"PEER"`
	Grep   string   `short:"g" help:"Only with this text in the command, or in the record; without capitals, in any case." placeholder:"TEXT"`
}

// stateFlags choose tasks by what became of them.
type stateFlags struct {
	Running    bool `help:"Only tasks that run, with --failed and --denied any of them."`
	Failed     bool `help:"Only tasks that failed."`
	Denied     bool `help:"Only what was denied."`
	Unreviewed bool `help:"Only tasks whose review nobody has completed."`
}

func (f *stateFlags) add(to *mirror.Filter) {
	for state, wanted := range map[string]bool{mirror.StateRunning: f.Running, mirror.StateFailed: f.Failed, mirror.StateDenied: f.Denied} {
		if wanted && !slices.Contains(to.States, state) {
			to.States = append(to.States, state)
		}
	}
	to.Unreviewed = f.Unreviewed
}

// filter makes the query's filter of the flags.
func (f *filterFlags) filter(a *app) (out mirror.Filter, err error) {
	nodes := []string{}
	if f.Node != "" {
		nodes = append(nodes, f.Node)
	}
	lists := map[string]*[]string{
		"node": &nodes, "agent": &out.Agents, "machine": &out.Machines, "request": &out.Requests,
		"event": &out.Events, "reason": &out.Reasons, "state": &out.States,
	}
	for _, field := range f.Fields {
		name, value, ok := strings.Cut(field, "=")
		list := lists[name]
		if !ok || list == nil || value == "" {
			return out, &exitError{exitUsage, fmt.Errorf("%q is not FIELD=VALUE with a field of node, agent, machine, request, event, reason, state", field)}
		}
		*list = append(*list, value)
	}
	for _, n := range nodes {
		id, err := a.resolveNode(n)
		if err != nil {
			return out, err
		}
		out.Nodes = append(out.Nodes, id)
	}
	now := a.now()
	if out.Since, err = milliseconds(f.Since, now); err == nil {
		out.Until, err = milliseconds(f.Until, now)
	}
	out.Text = f.Grep
	return out, err
}

// milliseconds is a time that was given, since 1970; 0 if none was.
func milliseconds(text string, now time.Time) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	t, err := parseWhen(text, now)
	if err != nil {
		return 0, &exitError{exitUsage, err}
	}
	return uint64(max(t.UnixMilli(), 1)), nil
}
