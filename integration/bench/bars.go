package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// bar is one figure that a change must not lose.
type bar struct {
	Name     string  `json:"name"`
	Measured float64 `json:"measured"`
	Bar      float64 `json:"bar"`
	AtMost   bool    `json:"at_most"` // less is better
	OK       bool    `json:"ok"`
	Unit     string  `json:"unit,omitempty"`
}

func atMost(name string, measured, limit float64, unit string) bar {
	return bar{name, measured, limit, true, measured <= limit, unit}
}

func atLeast(name string, measured, limit float64, unit string) bar {
	return bar{name, measured, limit, false, measured >= limit, unit}
}

// result is what a command prints: a table for people, or all of it as JSON.
type result struct {
	Header []string   `json:"-"`
	Table  [][]string `json:"-"`
	Rows   any        `json:"rows"`
	Bars   []bar      `json:"bars"`
}

func (r result) ok() bool { return !slices.ContainsFunc(r.Bars, func(b bar) bool { return !b.OK }) }

func (r result) print(w io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{r.Header}, r.Table...) {
		for _, cell := range row {
			fmt.Fprintf(t, "%s\t", cell)
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintln(t)
	for _, b := range r.Bars {
		verdict, sign := "ok", "at least"
		if !b.OK {
			verdict = "short"
		}
		if b.AtMost {
			sign = "at most"
		}
		fmt.Fprintf(t, "%s\t%.3g %s\t%s %.3g\t%s\n", b.Name, b.Measured, b.Unit, sign, b.Bar, verdict)
	}
	return t.Flush()
}
