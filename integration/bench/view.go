package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/holdings"
	"auditmesh/mirror"
)

// viewCommand measures the shared view at scale: the fold of the copies of twenty
// nodes' logs, its memory and size, and the first page of each filter.
func viewCommand(ctx context.Context, flags *flag.FlagSet, args []string) (result, error) {
	records := flags.Int("records", 10_000_000, "records of all logs together")
	keep := flags.String("dir", "", "directory of the logs and the view; logs that are there are used, and kept")
	queries := flags.Int("queries", 50, "times that each filter is asked")
	if err := flags.Parse(args); err != nil {
		return result{}, err
	}
	dir := *keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp(".", "bench-"); err != nil {
			return result{}, err
		}
		defer os.RemoveAll(dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "copies")); err != nil {
		if err := makeCopies(dir, *records); err != nil {
			return result{}, err
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "view")); err != nil {
		return result{}, err
	}
	var fold foldSample
	if err := inChild(ctx, &fold, "view-fold", dir); err != nil {
		return result{}, err
	}
	var asked querySample
	if err := inChild(ctx, &asked, "view-query", dir, fmt.Sprint(*queries)); err != nil {
		return result{}, err
	}
	var late latencySample
	if err := inChild(ctx, &late, "view-latency", dir); err != nil {
		return result{}, err
	}
	return viewResult(fold, asked, late), nil
}

// foldSample is what the child that folds measured.
type foldSample struct {
	Records uint64    `json:"records"`
	Million []float64 `json:"seconds_of_each_million"`
	Took    float64   `json:"seconds"`
	MaxRSS  float64   `json:"max_rss_mib"`
	Lines   float64   `json:"lines_mib"`
	View    float64   `json:"view_mib"`
}

// querySample is what the child that asks measured, in milliseconds.
type querySample struct {
	Filters []filterSample `json:"filters"`
	Status  []float64      `json:"status_ms"`
	Budget  []float64      `json:"budget_ms"` // of pages that used it up
	RSS     float64        `json:"rss_mib"`
}

type filterSample struct {
	Name  string    `json:"name"`
	Took  []float64 `json:"ms"`
	Pages int       `json:"pages"` // until the first hundred were found, or none are left
}

func viewResult(fold foldSample, asked querySample, late latencySample) result {
	r := result{Header: []string{"WHAT", "MEDIAN", "99TH PERCENTILE"}, Rows: map[string]any{"fold": fold, "queries": asked, "latency": late}}
	rate := float64(fold.Records) / fold.Took
	r.Table = [][]string{
		{"fold", fmt.Sprintf("%.0f records/s", rate), ""},
		{"peak memory", fmt.Sprintf("%.0f MiB", fold.MaxRSS), ""},
		{"view, of the lines", fmt.Sprintf("%.2f", fold.View/fold.Lines), ""},
	}
	r.Bars = append(r.Bars, atMost("peak memory of the fold", fold.MaxRSS, 640, "MiB"), atMost("view beside the lines", fold.View/fold.Lines, 2, "times"))
	if n := len(fold.Million); n >= 3 {
		first := 3e6 / (fold.Million[0] + fold.Million[1] + fold.Million[2])
		r.Bars = append(r.Bars, atLeast("fold of the first 3 million", first, 30_000, "records/s"),
			atLeast("last million beside the third", fold.Million[2]/fold.Million[n-1], 0.6, "times"))
	}
	for _, f := range asked.Filters {
		median, p99 := quantile(f.Took, 0.5), quantile(f.Took, 0.99)
		r.Table = append(r.Table, []string{"first page, " + f.Name, fmt.Sprintf("%.1f ms", median), fmt.Sprintf("%.1f ms", p99)})
		r.Bars = append(r.Bars, atMost("first page, "+f.Name+", median", median, 10, "ms"), atMost("first page, "+f.Name+", 99th percentile", p99, 50, "ms"))
	}
	if len(asked.Budget) > 0 {
		r.Bars = append(r.Bars, atMost("a page that used up its budget, median", quantile(asked.Budget, 0.5), 100, "ms"))
	}
	median, p99 := quantile(late.Took, 0.5), quantile(late.Took, 0.99)
	r.Table = append(r.Table, []string{fmt.Sprintf("commit to view, %.0f events/s", late.Rate), fmt.Sprintf("%.2f ms", median), fmt.Sprintf("%.2f ms", p99)})
	r.Bars = append(r.Bars, atMost("commit to own view, median", median, 5, "ms"))
	r.Table = append(r.Table, []string{"status", fmt.Sprintf("%.2f ms", quantile(asked.Status, 0.5)), fmt.Sprintf("%.2f ms", quantile(asked.Status, 0.99))})
	r.Bars = append(r.Bars, atMost("status", quantile(asked.Status, 0.5), 2, "ms"), atMost("memory after queries", asked.RSS, 300, "MiB"))
	return r
}

// memoryLimit is the node's own default.
const memoryLimit = 400 << 20

func openView(dir string) (*holdings.Holdings, *mirror.Mirror, error) {
	debug.SetMemoryLimit(memoryLimit)
	h, err := holdings.Open(holdings.Options{FS: disk.OS{}, Dir: dir + "/copies", Evidence: dir + "/evidence", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	m, err := mirror.Open(dir+"/view", h, slog.New(slog.DiscardHandler))
	return h, m, err
}

// foldView folds everything.
func foldView(ctx context.Context, dir string) error {
	h, m, err := openView(dir)
	if err != nil {
		return err
	}
	var s foldSample
	var lines int64
	for _, l := range h.Logs() {
		s.Records += l.Size()
		lines += l.(*audit.Copy).Bytes()
	}
	s.Lines = float64(lines) / (1 << 20)
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- m.Run(ctx) }()
	last := start
	for folded := uint64(0); folded < s.Records && ctx.Err() == nil; {
		<-time.After(20 * time.Millisecond)
		st, err := m.Status()
		if err != nil {
			stop()
			return err
		}
		folded = 0
		for _, l := range st.Logs {
			folded += l.Folded
		}
		for uint64(len(s.Million)+1)*1_000_000 <= folded {
			s.Million = append(s.Million, time.Since(last).Seconds())
			last = time.Now()
		}
	}
	s.Took = time.Since(start).Seconds()
	interrupted := ctx.Err()
	stop()
	if err := errors.Join(<-done, interrupted); err != nil {
		return err
	}
	if err := m.Close(); err != nil {
		return err
	}
	if s.View, err = size(dir + "/view"); err != nil {
		return err
	}
	if s.MaxRSS, err = maxRSS(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// size is what the files of a directory have, in MiB.
func size(dir string) (float64, error) {
	entries, err := os.ReadDir(dir)
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return float64(total) / (1 << 20), err
}
