package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"golang.org/x/term"

	"auditmesh/audit"
	"auditmesh/audit/disk"
)

type verifyCmd struct {
	Deep  bool     `help:"Decode every line too, and count those that are unreadable."`
	Paths []string `arg:"" optional:"" help:"Logs (their active files) or directories of copies. Without any: the own log and all copies."`
}

// Run checks files, and fails if anything is wrong with one.
func (c *verifyCmd) Run(a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	paths := c.Paths
	if len(paths) == 0 {
		if path := cfg.LogPath(); path != "" {
			paths = append(paths, path)
		}
		copies, err := filepath.Glob(filepath.Join(cfg.CopiesDir(), "*", "*"))
		if err != nil {
			return err
		}
		sealed, err := audit.SealedLogs(disk.OS{}, cfg.LogPath())
		if err != nil {
			return err
		}
		paths = slices.AppendSeq(append(paths, copies...), maps.Values(sealed))
	}
	reports := []audit.Report{}
	bad := 0
	for _, path := range paths {
		signed := ""
		if own, err := filepath.Abs(path); err == nil && own == cfg.LogPath() {
			signed = cfg.SignedPath()
		}
		rep, err := audit.Verify(path, audit.VerifyOptions{SignedPath: signed, Deep: c.Deep, Progress: a.progress(path)})
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
