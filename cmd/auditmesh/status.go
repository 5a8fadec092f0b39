package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"auditmesh/internal/api"
	"auditmesh/mirror"
)

type statusCmd struct {
	Deep bool `help:"Also hash the whole view."`
}

// Run shows the node's state.
func (c *statusCmd) Run(a *app) error {
	st, err := a.client().Status(a.ctx, c.Deep)
	if err != nil {
		return err
	}
	if a.opts.JSON {
		return a.printJSON(st)
	}
	return a.showStatus(st)
}

func (a *app) showStatus(st api.Status) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	row("Node", "%s", st.Node)
	row("Running", "since %s, process %d, version %s", clock(uint64(st.Started)), st.PID, st.Version)
	row("Data", "%s", st.DataDir)
	row("Log", "%s, %d records, %d signed, %d published, %s", st.State, st.Size, st.Signed, st.Published, orNone(st.LogPath))
	if st.WriteFailures > 0 {
		row("Failures", "%d writes failed, last: %s", st.WriteFailures, st.LastFailure)
	}
	if st.SpaceLow {
		row("Disk", "nearly full: %s free, the floor is %s", bytesText(st.FreeBytes), bytesText(st.MinFreeBytes))
	}
	if f := st.Follow; f != nil {
		text := fmt.Sprintf("%s, %d lines and %d gaps since the start, at byte %d", f.Path, f.Lines, f.Gaps, f.Offset)
		if f.Error != "" {
			text += ", waits: " + f.Error
		}
		row("Follows", "%s", text)
	}
	row("Tasklist", "%s", orNone(st.Tasklist))
	for _, addr := range st.Addresses {
		row("Address", "%s", addr)
	}
	if st.Tasklist != "" {
		row("Peers", "%d of %d members connected", st.Peers, st.Members)
	}
	row("Digest", "%s", st.Digest)
	row("Holdings", "%s", st.Holdings)
	if text := behind(st); text != "" {
		row("Behind", "%s", text)
	}
	if st.ViewHash != "" {
		row("View", "%s, %d tasks", st.ViewHash, *st.Tasks)
	}
	if n := st.Counters["own_log_ahead"]; n > 0 {
		row("Warning", "peers stated %d times that they hold more of this node's log than it does itself: its disk lost records, or was put back from a backup", n)
	}
	for dir, why := range st.Damaged {
		row("Damaged", "%s: %s", dir, why)
	}
	for what, why := range st.Troubles {
		row("Trouble", "the %s: %s", what, why)
	}
	for name, n := range st.Conflicts {
		row("Conflict", "%d batches that contradict log %s were refused and kept", n, name)
	}
	for _, name := range slices.Sorted(maps.Keys(st.Vector)) {
		h := st.Vector[name]
		if text := skewText(name, h); text != "" {
			row("Clock", "%s", text)
		}
		if h.Missing > 0 {
			row("Missing", "%d records of log %s after record %d: no member offers them any more", h.Missing, name, h.Stored)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(st.Vector) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout)
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(st.Vector)) {
		h := st.Vector[name]
		node, log, _ := strings.Cut(name, "/")
		own := ""
		if node == st.Node {
			own = "this node"
		}
		rows = append(rows, []string{short(node), short(log), fmt.Sprint(h.First), fmt.Sprint(h.Stored), fmt.Sprint(h.Signed), fmt.Sprint(h.Size), fmt.Sprint(h.LagRecords), fmt.Sprint(h.HeldBy), fmt.Sprint(h.Unreadable), own})
	}
	return table(a.stdout, []string{"NODE", "LOG", "FIRST", "HELD", "SIGNED", "IN VIEW", "LAG", "HELD BY", "UNREADABLE", ""}, rows)
}

// behind says how far the view is behind what is held, as while it is rebuilt;
// empty if it merely keeps up.
func behind(st api.Status) string {
	if st.Unfolded < mirror.ManyUnfolded {
		return ""
	}
	var held uint64
	for _, h := range st.Vector {
		held += h.Stored - min(h.Stored, h.First)
	}
	return fmt.Sprintf("%d of the %d records that are held here are not in the view yet (%d%% are)", st.Unfolded, held, 100*(held-min(held, st.Unfolded))/held)
}

// warnLacking tells who asks the view what it does not have: what is not folded
// yet, and what stands in copies that are damaged.
func (a *app) warnLacking() error {
	st, err := a.client().Status(a.ctx, false)
	if err != nil {
		return err
	}
	if text := behind(st); text != "" {
		fmt.Fprintln(a.stderr, "The view is being made: "+text+".")
	}
	for _, dir := range slices.Sorted(maps.Keys(st.Damaged)) {
		fmt.Fprintf(a.stderr, "A copy is damaged, and what it alone holds may be missing here: %s: %s\n", printable(dir), printable(st.Damaged[dir]))
	}
	return nil
}

// skewText says of a log how its times and this node's clock differ, empty if they
// do not.
func skewText(name string, h api.Held) string {
	switch {
	case h.AheadMS > 0:
		return fmt.Sprintf("log %s has times up to %s ahead of this clock: its node's clock was wrong, or this one is", name, daysText(h.AheadMS))
	case h.BehindMS > 0:
		return fmt.Sprintf("the last record of log %s was made %s before it came here: it came late, or its node's clock is behind", name, daysText(h.BehindMS))
	}
	return ""
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

type peersCmd struct{}

// Run lists the members.
func (*peersCmd) Run(a *app) error {
	list, err := a.client().Peers(a.ctx)
	if err != nil {
		return err
	}
	if a.opts.JSON {
		return a.printJSON(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.stderr, "This node has no other members: name them in the configuration, with audit_tasklist_id.")
		return nil
	}
	var rows [][]string
	for _, p := range list {
		state, sync := "away", "never"
		if p.Connected {
			state = "connected"
		}
		if !p.LastSync.IsZero() {
			sync = time.Since(p.LastSync).Round(time.Second).String() + " ago"
		}
		rows = append(rows, []string{p.ID, state, fmt.Sprint(p.Size), fmt.Sprint(p.Lacks), sync, strings.Join(p.Addresses, " ")})
	}
	return table(a.stdout, []string{"MEMBER", "STATE", "RECORDS", "LACKS", "LAST CATCH-UP", "ADDRESS"}, rows)
}
