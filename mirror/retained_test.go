package mirror

import (
	"math/rand/v2"
	"testing"
	"time"

	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/audit/segment"
)

// withRestarts has tasks whose records come in any order, some started again after
// they ended, of a log whose beginning retention took.
func withRestarts(t *testing.T) *replica {
	t.Helper()
	r := newReplica(t, 1)
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range 400 {
		id, ts, code := event.RequestID{0, byte(rng.IntN(60))}, 1000+uint64(i/5), int32(rng.IntN(2))
		switch rng.IntN(5) {
		case 0, 1:
			r.append(t, &event.Started{TSUnixMS: ts, RequestID: id})
		case 2:
			r.append(t, &event.Exit{TSUnixMS: ts, RequestID: id, Code: &code})
		case 3:
			r.append(t, &event.Request{TSUnixMS: ts, RequestID: id, Argv: []string{"git", "push"}})
		case 4:
			if rng.IntN(4) == 0 {
				r.append(t, &event.Denial{TSUnixMS: ts, RequestID: id, Reason: "exec_disabled", Argv: []string{"make"}})
			}
		}
		if i%17 == 0 {
			r.fold(t) // steps end anywhere
		}
	}
	r.fold(t)
	r.keep(t, 2)
	return r
}

// keep retires all but so many segments of each log.
func (r *replica) keep(t *testing.T, segments int) {
	t.Helper()
	if err := r.log.Sign(); err != nil {
		t.Fatal(err)
	}
	for _, log := range r.h.Logs() {
		first, err := log.Retirable(segment.Retention{Segments: segments}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.m.Retire(t.Context(), holdings.NameOf(log), first); err != nil || log.First() == 0 {
			t.Fatalf("the log begins at %d: %v", log.First(), err)
		}
	}
}

// A task that ended, was started again, and whose first end retention took, runs:
// whichever way it is asked for.
func TestRunningAfterRetention(t *testing.T) {
	for name, ended := range map[string]event.Event{
		"an exit":  &event.Exit{TSUnixMS: 1001, RequestID: event.RequestID{1}, Code: new(int32)},
		"a denial": &event.Denial{TSUnixMS: 1001, RequestID: event.RequestID{1}, Argv: []string{"git"}, Reason: "exec_disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t, 1)
			r.append(t, ended)
			for i := range 200 { // until the segment is full
				r.append(t, request(byte(2+i), uint64(1002+i), "git"))
			}
			r.append(t, &event.Request{TSUnixMS: 1300, RequestID: event.RequestID{1}, Argv: []string{"git", "push"}}, &event.Started{TSUnixMS: 1301, RequestID: event.RequestID{1}})
			r.fold(t)
			r.keep(t, 1)
			for _, f := range []Filter{{}, {Text: "git"}, {Since: 1}, {Until: 1 << 62}, {Nodes: []string{peerOf(1)}}, {Requests: []string{"0100"}}} {
				f.States = []string{StateRunning}
				for _, oldest := range []bool{false, true} {
					page, err := r.m.Tasks(TaskQuery{Filter: f, Oldest: oldest, Limit: 10})
					if err != nil || len(page.Tasks) != 1 {
						t.Errorf("%+v, oldest first %v: %d tasks, %v", f, oldest, len(page.Tasks), err)
					}
				}
			}
		})
	}
}
