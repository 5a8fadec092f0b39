package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/mirror"
)

const (
	latencyRate   = time.Millisecond // between events
	latencyEvents = 5000
)

// latencySample is how long each event took from its commit into the own view.
type latencySample struct {
	Took []float64 `json:"ms"`
	Rate float64   `json:"events_per_second"`
}

// viewLatency commits an event each millisecond beside a view that is there, and
// sees when each is in it.
func viewLatency(ctx context.Context, dir string, events int) error {
	key := ed25519.NewKeyFromSeed([]byte("a seed of thirty-two bytes, ours"))
	o := audit.Options{Path: dir + "/own/audit.jsonl", SignedPath: dir + "/own-state/signed.json", Key: key}
	if err := errors.Join(os.RemoveAll(dir+"/own"), os.RemoveAll(dir+"/own-state")); err != nil {
		return err
	}
	if err := audit.InitSignedState(disk.OS{}, o.SignedPath, merkle.PeerID(key.Public().(ed25519.PublicKey))); err != nil {
		return err
	}
	log, err := audit.OpenOrCreate(o)
	if err != nil {
		return err
	}
	h, err := holdings.Open(holdings.Options{FS: disk.OS{}, Dir: dir + "/copies", Evidence: dir + "/evidence", Own: log, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	m, err := mirror.Open(dir+"/view", h, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	wake, cancel := m.Subscribe()
	defer cancel()
	committed := make([]time.Time, events)
	appended := make(chan error, 1)
	start := time.Now()
	go func() {
		ticker := time.NewTicker(latencyRate)
		defer ticker.Stop()
		var err error
		for i := 0; i < events && err == nil; i++ {
			<-ticker.C
			_, err = log.Append(ctx, nthEvent(i))
			committed[i] = time.Now()
		}
		appended <- err
	}()
	seen := make([]time.Time, 0, events)
	for len(seen) < events {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
		_, vector, err := m.Newest(ctx, mirror.Filter{}, 0)
		if err != nil {
			return err
		}
		name, _ := log.Name()
		for now := time.Now(); uint64(len(seen)) < vector[name]; {
			seen = append(seen, now)
		}
	}
	if err := <-appended; err != nil {
		return err
	}
	var s latencySample
	for i := range seen { // the view may have an event before its commit is answered
		s.Took = append(s.Took, float64(max(0, seen[i].Sub(committed[i])))/1e6)
	}
	s.Rate = float64(events) / time.Since(start).Seconds()
	stop()
	if err := errors.Join(<-done, m.Close(), log.Close()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}
