package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// comparison is one row: ours beside another way, with as many callers.
type comparison struct {
	Callers int     `json:"callers"`
	Beside  string  `json:"beside"`
	Bar     float64 `json:"bar,omitempty"` // of the ratio; 0: for information

	Ours   float64 `json:"ours_per_second"`   // median
	Theirs float64 `json:"theirs_per_second"` // median
	Micros float64 `json:"ours_latency_us"`   // median of the mean time of one append
	Lower  float64 `json:"ratio_lower_quartile"`
	Ratio  float64 `json:"ratio_median"`
	Upper  float64 `json:"ratio_upper_quartile"`

	ours, theirs func(dir string) (appender, error)
}

const batchSize = 1000

func comparisons() []comparison {
	const group, seed = "bare group loop", "open, append, fdatasync, close (the seed's way)"
	rows := []comparison{
		{Callers: 1, Beside: "bare append and fdatasync", Bar: 0.85, theirs: newBare},
		{Callers: 16, Beside: group, Bar: 0.85, theirs: newGroupLoop},
		{Callers: 64, Beside: group, Bar: 0.85, theirs: newGroupLoop},
		{Callers: 512, Beside: group, Bar: 0.6, theirs: newGroupLoop},
		{Callers: 64, Beside: seed, Bar: 7, theirs: newSeedsWay},
		{Callers: 1, Beside: fmt.Sprintf("AppendBatch of %d beside the same bytes, one fdatasync", batchSize), Bar: 0.35, ours: newOursBatch, theirs: newBareBatch},
	}
	for _, p := range peers() {
		rows = append(rows, comparison{Callers: 64, Beside: p.name + ", one record at a time", Bar: 10, theirs: p.open})
	}
	for _, p := range sharingPeers() {
		rows = append(rows, comparison{Callers: 64, Beside: p.name + ", as many callers", theirs: p.open})
	}
	for _, p := range batchingPeers() {
		rows = append(rows, comparison{Callers: 1, Beside: fmt.Sprintf("%s, %d records in a batch, beside AppendBatch", p.name, batchSize), ours: newOursBatch, theirs: p.open})
	}
	for i := range rows {
		if rows[i].ours == nil {
			rows[i].ours = newOurs
		}
	}
	return rows
}

// commitCommand measures durable events a second. Each round measures ours and
// the other one after the other, in turn which comes first. A bar is short only
// if the upper quartile is, since single rounds on a shared machine are noise.
func commitCommand(_ context.Context, flags *flag.FlagSet, args []string) (result, error) {
	rounds := flags.Int("rounds", 15, "pairs measured for each row")
	span := flags.Duration("for", 300*time.Millisecond, "time of one measurement")
	only := flags.String("only", "", "measure the rows whose text contains this")
	if err := flags.Parse(args); err != nil {
		return result{}, err
	}
	rows := slices.DeleteFunc(comparisons(), func(c comparison) bool { return !strings.Contains(c.Beside, *only) })
	r := result{Header: []string{"CALLERS", "BESIDE", "OURS/S", "THEIRS/S", "OURS µS", "RATIO", "QUARTILES"}}
	dir, err := os.MkdirTemp(".", "bench-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	for i := range rows {
		c := &rows[i]
		if err := c.measure(dir, *rounds, *span); err != nil {
			return r, fmt.Errorf("%s: %w", c.Beside, err)
		}
		r.Table = append(r.Table, []string{
			fmt.Sprint(c.Callers), c.Beside, fmt.Sprintf("%.0f", c.Ours), fmt.Sprintf("%.0f", c.Theirs), fmt.Sprintf("%.0f", c.Micros),
			fmt.Sprintf("%.2f", c.Ratio), fmt.Sprintf("%.2f to %.2f", c.Lower, c.Upper),
		})
		if c.Bar > 0 {
			r.Bars = append(r.Bars, bar{Name: fmt.Sprintf("%d callers beside %s", c.Callers, c.Beside), Measured: c.Ratio, Bar: c.Bar, OK: c.Upper >= c.Bar})
		}
	}
	r.Rows = rows
	return r, nil
}

func (c *comparison) measure(dir string, rounds int, span time.Duration) error {
	var mine, other, ratios []float64
	for round := range rounds {
		var rate [2]float64
		for turn := range 2 {
			which := (turn + round) % 2
			open := c.theirs
			if which == 0 {
				open = c.ours
			}
			sub, err := os.MkdirTemp(dir, "run-")
			if err != nil {
				return err
			}
			if rate[which], err = throughput(open, sub, c.Callers, span); err != nil {
				return err
			}
			if err := os.RemoveAll(sub); err != nil {
				return err
			}
		}
		mine, other, ratios = append(mine, rate[0]), append(other, rate[1]), append(ratios, rate[0]/rate[1])
	}
	c.Ours, c.Theirs = quantile(mine, 0.5), quantile(other, 0.5)
	c.Micros = 1e6 * float64(c.Callers) / c.Ours
	c.Lower, c.Ratio, c.Upper = quantile(ratios, 0.25), quantile(ratios, 0.5), quantile(ratios, 0.75)
	return nil
}

func quantile(list []float64, q float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[int(q*float64(len(list)-1)+0.5)]
}

// throughput is durable events a second of so many callers, each of which waits
// for its event before it gives the next.
func throughput(open func(string) (appender, error), dir string, callers int, span time.Duration) (float64, error) {
	a, err := open(filepath.Join(dir, "log"))
	if err != nil {
		return 0, err
	}
	counts := make([]int, callers)
	errs := make([]error, callers)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := 0; n == 0 || time.Since(begin) < span; n++ { // one each, however slow the disk is
				if errs[i] = a.append(i*1_000_000 + n); errs[i] != nil {
					return
				}
				counts[i]++
			}
		})
	}
	wg.Wait()
	took := time.Since(begin).Seconds()
	total := 0
	for i, n := range counts {
		if errs[i] != nil {
			return 0, errs[i]
		}
		total += n
	}
	if b, ok := a.(interface{ size() int }); ok {
		total *= b.size()
	}
	return float64(total) / took, a.close()
}
