package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"strings"
	"testing"
	"time"
)

// Each way commits what it is given; numbers are for the command alone.
func TestWaysCommit(t *testing.T) {
	for name, open := range map[string]func(string) (appender, error){"ours": newOurs, "group": newGroupLoop, "seed": newSeedsWay, "bare": newBare} {
		callers := 4
		if name == "bare" {
			callers = 1
		}
		rate, err := throughput(open, t.TempDir(), callers, 30*time.Millisecond)
		if err != nil || rate <= 0 {
			t.Errorf("%s: %v events a second, %v", name, rate, err)
		}
	}
}

// Every row of the table is measured, and every bar is told.
func TestCommitCommand(t *testing.T) {
	t.Chdir(t.TempDir())
	r, err := commitCommand(t.Context(), flag.NewFlagSet("commit", flag.ContinueOnError), []string{"--rounds", "1", "--for", "5ms"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Table) != len(comparisons()) || len(r.Bars) != 11 {
		t.Errorf("%d rows, %d bars", len(r.Table), len(r.Bars))
	}
	for _, c := range r.Rows.([]comparison) {
		if c.Ratio <= 0 || c.Micros <= 0 {
			t.Errorf("%s: %+v", c.Beside, c)
		}
	}
	var out bytes.Buffer
	if err := r.print(&out, true); err != nil || !json.Valid(out.Bytes()) {
		t.Errorf("%v: %s", err, &out)
	}
}

func TestBars(t *testing.T) {
	r := result{Bars: []bar{atMost("a", 1, 2, "ms"), atMost("b", 3, 2, "ms")}}
	var out bytes.Buffer
	if err := r.print(&out, false); err != nil || r.ok() || !strings.Contains(out.String(), "at most 2  short") {
		t.Errorf("%v: %s", err, &out)
	}
}

// The log's bench builds a log, and finds and proves records in it.
func TestLog(t *testing.T) {
	dir := t.TempDir()
	o := logOptions(dir)
	if err := makeLog(o, 3000); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"verify", "deep", "cold", "open"} {
		if err := child(t.Context(), []string{what, dir}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The view's bench folds what it makes, and asks every filter.
func TestView(t *testing.T) {
	dir := t.TempDir()
	if err := makeCopies(dir, 6000); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"view-fold", dir}, {"view-query", dir, "2"}, {"view-latency", dir}} {
		if err := child(t.Context(), args); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestQuantile(t *testing.T) {
	list := []float64{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0.25: 2, 0.5: 3, 0.75: 4} {
		if got := quantile(list, q); got != want {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}
