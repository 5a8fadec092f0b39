package main

import (
	"bytes"
	"encoding/json"
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

func TestReport(t *testing.T) {
	t.Chdir(t.TempDir())
	var out bytes.Buffer
	if _, err := commit([]string{"-rounds", "1", "-for", "5ms", "-json"}, &out); err != nil {
		t.Fatal(err)
	}
	var rows []comparison
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil || len(rows) != 5 || rows[0].Ratio <= 0 {
		t.Errorf("%v: %s", err, &out)
	}
	if short := (comparison{Upper: 0.8, Bar: 0.85}).short(); !short {
		t.Error("a missed bar is not short")
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
