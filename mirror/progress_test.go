package mirror

import (
	"log/slog"
	"testing"
	"time"

	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"auditmesh/audit/event"
)

// A long round of the fold logs how much is left, how fast it is and when it has
// caught up; one that merely keeps up logs nothing.
func TestProgress(t *testing.T) {
	r := newReplica(t, 1)
	var batch []event.Event
	for i := range ManyUnfolded + stepRecords {
		batch = append(batch, request(byte(i), uint64(i), "x"))
	}
	r.append(t, batch...)
	core, logs := observer.New(zapcore.InfoLevel)
	r.m.logger = slog.New(zapslog.NewHandler(core))
	long := newRound()
	defer long.close()
	step := func() {
		t.Helper()
		if _, err := r.m.step(r.log, long); err != nil {
			t.Fatal(err)
		}
	}
	say := func(after time.Duration) []observer.LoggedEntry {
		t.Helper()
		if err := r.m.progress(long, long.said.Add(after)); err != nil {
			t.Fatal(err)
		}
		return logs.TakeAll()
	}
	step()
	if said := say(sayEvery - 1); len(said) > 0 {
		t.Errorf("too early: %v", said)
	}
	n := long.records
	left := ManyUnfolded + stepRecords - n
	rate := float64(n) / sayEvery.Seconds()
	if said := say(sayEvery); n == 0 || len(said) != 1 {
		t.Fatalf("%d records folded, logged %v", n, said)
	} else if m := said[0].ContextMap(); m["folded"] != n || m["left"] != left || m["per_second"] != uint64(rate) || m["remaining"] != time.Duration(float64(left)/rate*float64(time.Second)) {
		t.Errorf("%d folded, %d left, logged %v", n, left, m)
	}
	for long.records <= stepRecords {
		step()
	}
	if said := say(sayEvery); len(said) > 0 {
		t.Errorf("with %d folded: %v", long.records, said)
	}
	r.fold(t) // the rest, at once
	if logs.Len() > 0 {
		t.Errorf("a short round logged %v", logs.All())
	}
	st := mustStatus(t, r)
	if l := st.Logs[0]; l.Folded != l.Size {
		t.Errorf("%d of %d folded", l.Folded, l.Size)
	}
}
