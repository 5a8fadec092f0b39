//go:build linux

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"auditmesh/internal/node"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Say whether the configuration is right, and what it means."`
}

type configCheckCmd struct{}

// Help lists the keys.
func (*configCheckCmd) Help() string {
	var b strings.Builder
	b.WriteString("Keys of config.toml; absent ones have the defaults that are shown:\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	table := ""
	for _, e := range node.DefaultConfig("").Explain() {
		in, key, ok := strings.Cut(e.Key, ".")
		if !ok {
			in, key = "", e.Key
		}
		if in != table {
			table = in
			fmt.Fprintf(w, "\t\t\n  [%s]\t\t\n", table)
		}
		fmt.Fprintf(w, "  %s\t= %s\t %s\n", key, e.Default, e.About)
	}
	w.Flush()
	b.WriteString(`
A duration has its unit: "90s", "30m", "24h", "90d", "2w". A size is a number of bytes.
Retention removes whole segments, oldest first, and never what is not signed.

The check tries on this machine what can be tried without changing anything: directories, addresses, disks.
Its exit code is 2 if anything cannot work.`)
	return b.String()
}

// Run checks the configuration, and tries it without changing anything.
func (*configCheckCmd) Run(a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	found := node.Probe(a.ctx, cfg)
	if a.opts.JSON {
		err = a.printJSON(struct {
			node.Findings
			Config   node.Config        `json:"config"`
			Settings []node.Explanation `json:"settings"`
		}{found, cfg, cfg.Explain()})
	} else {
		err = a.showConfig(cfg, found)
	}
	if n := len(found.Problems); err == nil && n > 0 {
		return &exitError{exitUsage, fmt.Errorf("the configuration cannot work as it is: %s", strings.Join(found.Problems, "; "))}
	}
	return err
}

func (a *app) showConfig(cfg node.Config, found node.Findings) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	row := func(name, text string) { fmt.Fprintf(w, "%s\t%s\n", name, printable(text)) }
	who := found.Node
	if who == "" {
		who = "none yet: made by `auditmesh init` or the first run"
	}
	row("Node", who)
	row("Data", cfg.DataDir)
	for _, e := range cfg.Explain() {
		row(e.Key, e.Words)
	}
	fmt.Fprintln(w)
	for _, p := range found.Problems {
		row("Problem", p)
	}
	for _, p := range found.Warnings {
		row("Warning", p)
	}
	if len(found.Problems) == 0 {
		fmt.Fprintln(w, "The configuration is right.")
	}
	return w.Flush()
}
