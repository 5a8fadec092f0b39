package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"golang.org/x/term"

	"auditmesh/audit"
)

type verifyCmd struct {
	Deep  bool     `help:"Decode every line too, and count those that are unreadable."`
	Paths []string `arg:"" optional:"" help:"Logs (their active files) or directories of copies. Without any: the own log and all copies."`
}

// target is a log or a copy, and the file of the last-signed state if that is known.
type target struct{ path, signed string }

// Run checks files, and fails if anything is wrong with one.
func (c *verifyCmd) Run(a *app) error {
	targets, err := a.targets(c.Paths)
	if err != nil {
		return err
	}
	reports := []audit.Report{}
	bad := 0
	for _, target := range targets {
		rep, err := audit.Verify(target.path, audit.VerifyOptions{SignedPath: target.signed, Deep: c.Deep, Progress: a.progress(target.path)})
		if err != nil {
			if os.IsNotExist(err) && len(c.Paths) == 0 {
				continue // no log yet
			}
			return err
		}
		if len(rep.Problems) > 0 {
			bad++
		}
		reports = append(reports, rep)
		if !a.opts.JSON {
			a.showReport(rep)
		}
	}
	if a.opts.JSON {
		if err := a.printJSON(reports); err != nil {
			return err
		}
	}
	if len(reports) == 0 && !a.opts.JSON {
		fmt.Fprintln(a.stdout, "There is nothing to verify: no log was written here yet.")
	}
	if bad > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %d logs are not as they were signed", bad, len(reports))}
	}
	return nil
}

func (a *app) showReport(rep audit.Report) {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	verdict := "ok"
	if len(rep.Problems) > 0 {
		verdict = "NOT OK"
	}
	fmt.Fprintf(w, "%s\t%s\t%d records\t%d signed\t%s", verdict, rep.Path, rep.Records-rep.First, rep.Signed, bytesText(uint64(rep.Bytes)))
	if rep.Deep {
		fmt.Fprintf(w, "\t%d unreadable", rep.Unreadable)
	}
	fmt.Fprintln(w)
	if rep.Unfinished > 0 {
		fmt.Fprintf(w, "\t%d bytes at the end have no newline: they are being written, or were never acknowledged\n", rep.Unfinished)
	}
	for _, p := range append(rep.Problems, rep.Derived...) {
		fmt.Fprintf(w, "\t%s\n", printable(p))
	}
}

// progress shows on a terminal how much of a file was read.
func (a *app) progress(path string) func(done, total int64) {
	if a.opts.JSON || !term.IsTerminal(int(a.stderr.Fd())) {
		return nil
	}
	return func(done, total int64) {
		fmt.Fprintf(a.stderr, "\r\x1b[K%s  %s of %s", path, bytesText(uint64(done)), bytesText(uint64(total)))
		if done == total {
			fmt.Fprint(a.stderr, "\r\x1b[K")
		}
	}
}
