package node

import (
	"log/slog"
	"testing"
)

func TestProgress(t *testing.T) {
	var p progress
	for range 2 {
		if !p.moved() {
			t.Error("where nothing is to be done, nothing hangs")
		}
	}
	end := p.start()
	if !p.moved() {
		t.Error("work that has only begun is not stuck")
	}
	if p.moved() {
		t.Error("work that ran all the time, and of which nothing ended, is stuck")
	}
	if p.moved() {
		t.Error("and it stays so")
	}
	other := p.start()
	other()
	if !p.moved() {
		t.Error("something ended: the log answers")
	}
	if p.moved() {
		t.Error("the first one hangs again")
	}
	end()
	if !p.moved() {
		t.Error("it ended")
	}
}

// A node is ready once it listens, not before, and is alive with an open log.
func TestReadyAndAlive(t *testing.T) {
	cfg, err := LoadConfig(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.Ready():
		t.Error("ready before it runs")
	default:
	}
	if !n.Alive() {
		t.Error("not alive")
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}
