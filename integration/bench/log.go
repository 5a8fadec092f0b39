package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// logCommand measures what an operator does with a long log: verify it beside
// `openssl dgst -sha256` of the same file, open it, find and prove records. Each
// measurement is a process of its own, whose greatest memory the kernel tells.
func logCommand(ctx context.Context, flags *flag.FlagSet, args []string) (result, error) {
	records := flags.Int("records", 10_000_000, "records of the log")
	rounds := flags.Int("rounds", 5, "pairs measured")
	keep := flags.String("dir", "", "directory of the log, made if it is not there, and kept")
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
	o := logOptions(dir)
	if _, err := os.Stat(o.Path); err != nil {
		if err := makeLog(o, *records); err != nil {
			return result{}, err
		}
	}
	return measureLog(ctx, dir, *rounds)
}

func logOptions(dir string) audit.Options {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	return audit.Options{Path: dir + "/log/audit.jsonl", SignedPath: dir + "/state/signed.json", Key: key}
}

// makeLog writes executions of three records each, and has them signed.
func makeLog(o audit.Options, records int) error {
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return err
	}
	f, err := os.Create(o.Path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	code := int32(0)
	for i := range records {
		id, ts := event.RequestID{byte(i / 3), byte(i / 3 >> 8), byte(i / 3 >> 16), byte(i / 3 >> 24)}, uint64(1_795_000_000_000+i)
		var e event.Event
		switch i % 3 {
		case 0:
			e = &event.Request{TSUnixMS: ts, RequestID: id, Argv: []string{"git", "status", "--short", "--branch", "."}, TimeoutMS: 30000}
		case 1:
			e = &event.Started{TSUnixMS: ts, RequestID: id, PID: uint32(i)}
		default:
			e = &event.Exit{TSUnixMS: ts, RequestID: id, Code: &code, DurationMS: 12, StdoutBytes: 345}
		}
		if line, err = event.AppendLine(line[:0], e); err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := audit.InitSignedState(disk.OS{}, o.SignedPath, merkle.PeerID(o.Key.Public().(ed25519.PublicKey))); err != nil {
		return err
	}
	l, err := audit.OpenOrCreate(o)
	if err != nil {
		return err
	}
	return l.Close()
}

// sample is what a child measured, in milliseconds, and its memory.
type sample struct {
	Records uint64  `json:"records"`
	Took    float64 `json:"took_ms"`
	BySeq   float64 `json:"by_seq_p99_ms"`
	ByTime  float64 `json:"by_time_p99_ms"`
	Proof   float64 `json:"proof_p99_ms"`
	MaxRSS  float64 `json:"max_rss_mib"`
}

func measureLog(ctx context.Context, dir string, rounds int) (result, error) {
	r := result{Header: []string{"WHAT", "MEDIAN", "GREATEST MEMORY"}}
	path := logOptions(dir).Path
	median := make(map[string][]float64)
	rss := make(map[string]float64)
	var last sample
	for range rounds {
		start := time.Now()
		if out, err := exec.CommandContext(ctx, "openssl", "dgst", "-sha256", path).CombinedOutput(); err != nil {
			return r, fmt.Errorf("openssl: %w: %s", err, out)
		}
		base := 1000 * time.Since(start).Seconds()
		median["openssl"] = append(median["openssl"], base)
		for _, what := range []string{"verify", "deep", "cold", "open"} {
			var s sample
			if err := inChild(ctx, &s, what, dir); err != nil {
				return r, err
			}
			median[what] = append(median[what], s.Took)
			rss[what] = max(rss[what], s.MaxRSS)
			if what == "verify" || what == "deep" {
				median[what+" ratio"] = append(median[what+" ratio"], s.Took/base)
			}
			if what == "open" {
				last = s
			}
		}
	}
	for _, row := range []struct{ key, name string }{
		{"openssl", "openssl dgst -sha256"}, {"verify", "verify"}, {"deep", "verify --deep"}, {"cold", "open without index"}, {"open", "open with index"},
	} {
		memory := ""
		if rss[row.key] > 0 {
			memory = fmt.Sprintf("%.0f MiB", rss[row.key])
		}
		r.Table = append(r.Table, []string{row.name, fmt.Sprintf("%.0f ms", quantile(median[row.key], 0.5)), memory})
	}
	r.Rows = map[string]any{"records": last.Records, "milliseconds": median, "max_rss_mib": rss}
	r.Bars = []bar{
		atMost("verify beside openssl", quantile(median["verify ratio"], 0.5), 2, "times"),
		atMost("verify --deep beside openssl", quantile(median["deep ratio"], 0.5), 8, "times"),
		atMost("open with index", quantile(median["open"], 0.5), 200, "ms"),
		atMost("open without index", quantile(median["cold"], 0.5), 15_000, "ms"),
		atMost("a record by seq, 99th percentile", last.BySeq, 5, "ms"),
		atMost("a record by time, 99th percentile", last.ByTime, 5, "ms"),
		atMost("an inclusion proof, 99th percentile", last.Proof, 20, "ms"),
		atMost("greatest memory", max(rss["verify"], rss["deep"], rss["open"], rss["cold"]), 64, "MiB"),
	}
	return r, nil
}

func inChild(ctx context.Context, into any, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"child"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return json.Unmarshal(out, into)
}

// child does one thing to the log, and prints how long it took.
func child(ctx context.Context, args []string) error {
	switch args[0] {
	case "view-fold":
		return foldView(ctx, args[1])
	case "view-query":
		return queryView(args[1], args[2])
	case "view-latency":
		return viewLatency(ctx, args[1], latencyEvents)
	}
	what, dir := args[0], args[1]
	o := logOptions(dir)
	var s sample
	switch what {
	case "verify", "deep":
		start := time.Now()
		rep, err := audit.Verify(o.Path, audit.VerifyOptions{SignedPath: o.SignedPath, Deep: what == "deep"})
		if err == nil && len(rep.Problems)+len(rep.Derived) > 0 {
			err = fmt.Errorf("%v %v", rep.Problems, rep.Derived)
		}
		if err != nil {
			return err
		}
		s = sample{Records: rep.Records, Took: since(start)}
	case "cold":
		paths, err := filepath.Glob(dir + "/log/*.index")
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		fallthrough
	case "open":
		start := time.Now()
		l, err := audit.OpenOrCreate(o)
		if err != nil {
			return err
		}
		s = sample{Records: l.Size(), Took: since(start)}
		if err := s.find(l); err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	var err error
	if s.MaxRSS, err = maxRSS(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// maxRSS is the greatest resident memory of this process, in MiB. (The one that
// wait4 tells begins with the parent's.)
func maxRSS() (float64, error) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	var kib float64
	_, err = fmt.Sscanf(rest, "%f kB", &kib)
	return kib / 1024, err
}

func since(start time.Time) float64 { return 1000 * time.Since(start).Seconds() }

// find reads and proves records all over the log.
func (s *sample) find(l *audit.Log) error {
	const n = 300
	var bySeq, byTime, proof []float64
	for i := range uint64(n) {
		seq := (i*2654435761 + 12345) % l.Size()
		start := time.Now()
		r := l.Reader(seq)
		rec, err := r.Next()
		if err != nil {
			return err
		}
		bySeq = append(bySeq, since(start))
		e, err := event.Decode(rec.Line)
		r.Close()
		if err != nil {
			return err
		}
		start = time.Now()
		if at, err := l.SeekTime(e.Time()); err != nil || at != seq {
			return fmt.Errorf("the time of record %d leads to %d: %w", seq, at, err)
		}
		byTime = append(byTime, since(start))
		start = time.Now()
		if _, err := l.Prove(seq); err != nil {
			return err
		}
		proof = append(proof, since(start))
	}
	s.BySeq, s.ByTime, s.Proof = quantile(bySeq, 0.99), quantile(byTime, 0.99), quantile(proof, 0.99)
	return nil
}
