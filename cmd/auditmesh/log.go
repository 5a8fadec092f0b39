package main

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/internal/api"
	"auditmesh/mirror"
)

type logCmd struct {
	filterFlags
	Follow bool   `short:"f" help:"Go on with new records as they come."`
	Lines  int    `short:"n" default:"100" help:"How many of the newest records that fit to begin with."`
	Raw    bool   `help:"Print the lines of one node that are held, byte for byte."`
	Log    string `help:"With --raw: only the log with this id." placeholder:"ID"`
}

// Run prints records, oldest first.
func (c *logCmd) Run(a *app) error {
	client := a.client()
	filter, err := c.filter(a)
	if err != nil {
		return err
	}
	if c.Raw {
		return c.raw(a, client, filter)
	}
	if len(filter.States) > 0 {
		return &exitError{exitUsage, errors.New("records have no state: `auditmesh tasks state=…` lists tasks by it")}
	}
	if err := a.warnLacking(); err != nil {
		return err
	}
	q := api.LogQuery{Filter: filter, Limit: c.Lines, Follow: c.Follow}
	shown, ahead := 0, 0
	err = client.Log(a.ctx, q, func(l api.LogLine) error {
		shown++
		if l.AheadMS > 0 {
			if ahead++; c.Follow && ahead == 1 { // there is no end to say it at
				a.legend(ahead, shown, "records")
			}
		}
		if a.opts.JSON {
			return writeJSON(a.stdout, l, "")
		}
		if l.Missed > 0 {
			fmt.Fprintf(a.stderr, "%d records of %s before record %d were missed: retention removed them first\n", l.Missed, short(l.Node), l.Seq)
		}
		_, err := fmt.Fprintln(a.stdout, a.logText(l))
		return err
	})
	if !c.Follow {
		a.legend(ahead, shown, "records")
	}
	return err
}

// Help is the longer help of the command.
func (*logCmd) Help() string {
	return `Examples: what one agent asked for since yesterday, and all denials as they come:

  auditmesh log -S yesterday event=request agent=3f9a
  auditmesh log -f event=denial`
}

// raw prints lines as they are, of one node and without a choice of records.
func (c *logCmd) raw(a *app, client *api.Client, f mirror.Filter) error {
	node := ""
	if len(f.Nodes) > 0 {
		node, f.Nodes = f.Nodes[0], f.Nodes[1:]
	}
	if !reflect.DeepEqual(f, mirror.Filter{Nodes: f.Nodes}) || len(f.Nodes) > 0 {
		return &exitError{exitUsage, errors.New("--raw prints all lines of one node as they are; give --node or --log alone with it")}
	}
	return client.Raw(a.ctx, node, c.Log, a.stdout)
}

// resolveNode finds the peer id that a user means by its end.
func (a *app) resolveNode(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if _, err := merkle.PeerKey(s); err == nil {
		return s, nil
	}
	st, err := a.client().Status(a.ctx, false)
	if err != nil {
		return "", err
	}
	found := map[string]bool{}
	if strings.HasSuffix(st.Node, s) {
		found[st.Node] = true
	}
	for name := range st.Vector {
		if node, _, _ := strings.Cut(name, "/"); strings.HasSuffix(node, s) {
			found[node] = true
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d known nodes have a peer id that ends in %q; `auditmesh status` lists them", len(found), s)
	}
	for node := range found {
		return node, nil
	}
	return "", nil
}

// logText is a record as a line for people.
func (a *app) logText(l api.LogLine) string {
	prefix := fmt.Sprintf("%s  %s  %6d", a.when(l.Time), short(l.Node), l.Seq)
	if l.Unavailable != "" {
		return fmt.Sprintf("%s  not held          %s", prefix, printable(l.Unavailable))
	}
	line := l.Line
	if line == "" {
		line = string(l.LineBase64)
	}
	e, err := event.Decode([]byte(line))
	if err != nil {
		return fmt.Sprintf("%s  unreadable        %s", prefix, printable(truncate(line, 200)))
	}
	id, text := describe(e)
	return fmt.Sprintf("%s  %-8s  %-8s  %s", prefix, printable(truncate(e.Name(), 40)), id, text)
}

// describe is an event's task and what it says, in short.
func describe(e event.Event) (id, text string) {
	switch e := e.(type) {
	case *event.Request:
		return short(e.RequestID.String()), printableArgv(e.Argv)
	case *event.Started:
		return short(e.RequestID.String()), fmt.Sprintf("pid %d", e.PID)
	case *event.Warning:
		text = printable(e.Kind)
		if e.Bytes != nil {
			text += " at " + bytesText(*e.Bytes)
		}
		return short(e.RequestID.String()), text
	case *event.Exit:
		end := "ended"
		if e.Code != nil {
			end = fmt.Sprintf("exit %d", *e.Code)
		}
		if e.Signal != nil {
			end = fmt.Sprintf("signal %d", *e.Signal)
		}
		return short(e.RequestID.String()), fmt.Sprintf("%s after %s, %s out, %s err", end, duration(e.DurationMS), bytesText(e.StdoutBytes), bytesText(e.StderrBytes))
	case *event.Denial:
		return short(e.RequestID.String()), fmt.Sprintf("%s: %s", printable(e.Reason), printableArgv(e.Argv))
	case *event.Application:
		if e.HasRequest {
			id = short(e.RequestID.String())
		}
		return id, printable(truncate(string(e.Body), 200))
	case *event.FollowBytes:
		return "", fmt.Sprintf("byte %d of %s: %s", e.Offset, printable(e.Path), printable(truncate(string(e.Line), 200)))
	case *event.FollowGap:
		return "", fmt.Sprintf("from byte %d of %s: %s", e.Offset, printable(e.Path), printable(e.Reason))
	case *event.LogWriteFailed:
		return "", fmt.Sprintf("for %s, %d events refused, %d in doubt: %s", duration(e.TSUnixMS-min(e.Since, e.TSUnixMS)), e.Refused, e.InDoubt, printable(e.Error))
	case *event.DiskSpaceLow:
		return "", fmt.Sprintf("%s free, the floor is %s", bytesText(e.Free), bytesText(e.Floor))
	default:
		return "", ""
	}
}

func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
