package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// comparison is one row: ours beside another way, with as many callers.
type comparison struct {
	Callers int     `json:"callers"`
	Beside  string  `json:"beside"`
	Bar     float64 `json:"bar"`

	Ours   float64 `json:"ours_per_second"`   // median
	Theirs float64 `json:"theirs_per_second"` // median
	Lower  float64 `json:"ratio_lower_quartile"`
	Ratio  float64 `json:"ratio_median"`
	Upper  float64 `json:"ratio_upper_quartile"`
}

// short says whether the bar is missed: by the upper quartile too, since single
// rounds on a shared machine are noise.
func (c comparison) short() bool { return c.Upper < c.Bar }

// commit measures durable events a second. Each round measures ours and the
// other one after the other, in turn which comes first.
func commit(args []string, w io.Writer) (ok bool, err error) {
	flags := flag.NewFlagSet("commit", flag.ContinueOnError)
	rounds := flags.Int("rounds", 15, "pairs measured for each row")
	span := flags.Duration("for", 300*time.Millisecond, "time of one measurement")
	asJSON := flags.Bool("json", false, "print JSON")
	check := flags.Bool("check", false, "exit 1 if a bar is missed")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	rows := []comparison{
		{Callers: 1, Beside: "bare append and fdatasync", Bar: 0.85},
		{Callers: 16, Beside: "bare group loop", Bar: 0.85},
		{Callers: 64, Beside: "bare group loop", Bar: 0.85},
		{Callers: 512, Beside: "bare group loop", Bar: 0.6},
		{Callers: 64, Beside: "open, append, fdatasync, close (the seed's way)", Bar: 7},
	}
	ways := map[string]func(dir string) (appender, error){
		"bare append and fdatasync":                       newBare,
		"bare group loop":                                 newGroupLoop,
		"open, append, fdatasync, close (the seed's way)": newSeedsWay,
	}
	dir, err := os.MkdirTemp(".", "bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	for i := range rows {
		if err := rows[i].measure(dir, ways[rows[i].Beside], *rounds, *span); err != nil {
			return false, err
		}
	}
	if err := report(w, rows, *asJSON); err != nil {
		return false, err
	}
	return !*check || !slices.ContainsFunc(rows, comparison.short), nil
}

func (c *comparison) measure(dir string, theirs func(string) (appender, error), rounds int, span time.Duration) error {
	var mine, other, ratios []float64
	for round := range rounds {
		var rate [2]float64
		for turn := range 2 {
			which := (turn + round) % 2
			open := theirs
			if which == 0 {
				open = newOurs
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
			for n := 0; time.Since(begin) < span; n++ {
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
	return float64(total) / took, a.close()
}

func report(w io.Writer, rows []comparison, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CALLERS\tBESIDE\tOURS/S\tTHEIRS/S\tRATIO\tQUARTILES")
	for _, c := range rows {
		fmt.Fprintf(t, "%d\t%s\t%.0f\t%.0f\t%.2f\t%.2f to %.2f\n", c.Callers, c.Beside, c.Ours, c.Theirs, c.Ratio, c.Lower, c.Upper)
	}
	fmt.Fprintln(t)
	for _, c := range rows {
		verdict := "ok"
		if c.short() {
			verdict = "short"
		}
		fmt.Fprintf(t, "%d callers beside %s\t%.2f\tbar %.2f\t%s\n", c.Callers, c.Beside, c.Ratio, c.Bar, verdict)
	}
	return t.Flush()
}
