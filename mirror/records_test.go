package mirror

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
)

// plainRecord is a record as a program reads it that knows nothing of events.
type plainRecord struct {
	ref   RecordRef
	log   int // in the order of the names
	line  string
	field map[string]any
}

func plainRecords(t *testing.T, r *replica) (list []plainRecord) {
	t.Helper()
	for num, l := range r.h.Logs() {
		rd := l.Reader(l.First())
		defer rd.Close()
		for rd.Seq() < l.Size() {
			rec, err := rd.Next()
			if err != nil {
				t.Fatal(err)
			}
			p := plainRecord{log: num, line: string(rec.Line)}
			if err := json.Unmarshal(rec.Line, &p.field); err != nil {
				t.Fatal(err)
			}
			p.ref = RecordRef{holdings.NameOf(l), rec.Seq, uint64(p.field["ts_unix_ms"].(float64))}
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b plainRecord) int {
		return -cmp.Or(cmp.Compare(a.ref.Time, b.ref.Time), cmp.Compare(a.log, b.log), cmp.Compare(a.ref.Seq, b.ref.Seq))
	})
	return list
}

// hasText looks into the line, and into the arguments joined.
func (p plainRecord) hasText(text string) bool {
	argv, _ := p.field["argv"].([]any)
	joined := strings.Trim(fmt.Sprint(argv), "[]")
	if text == strings.ToLower(text) {
		return strings.Contains(strings.ToLower(p.line), text) || strings.Contains(strings.ToLower(joined), text)
	}
	return strings.Contains(p.line, text) || strings.Contains(joined, text)
}

func (p plainRecord) hasPrefix(field, prefix string) bool {
	v, _ := p.field[field].(string)
	return v != "" && strings.HasPrefix(v, prefix)
}

// What the records that fit are, newest first, beside a look at every line.
func TestNewestAgainstNaive(t *testing.T) {
	r := population(t, 400)[0]
	all := plainRecords(t, r)
	machine := hex.EncodeToString(append([]byte{1}, make([]byte, 31)...))
	for name, c := range map[string]struct {
		f    Filter
		fits func(plainRecord) bool
	}{
		"all":     {Filter{}, func(plainRecord) bool { return true }},
		"node":    {Filter{Nodes: []string{peerOf(2)}}, func(p plainRecord) bool { return p.ref.Log.Peer == peerOf(2) }},
		"times":   {Filter{Since: 1030, Until: 1050}, func(p plainRecord) bool { return p.ref.Time >= 1030 && p.ref.Time < 1050 }},
		"event":   {Filter{Events: []string{"exit", "task_removed"}}, func(p plainRecord) bool { return p.hasPrefix("event", "exit") || p.hasPrefix("event", "task_removed") }},
		"request": {Filter{Requests: []string{"0001"}}, func(p plainRecord) bool { return p.hasPrefix("request_id", "0001") }},
		"agent":   {Filter{Agents: []string{"1"}}, func(p plainRecord) bool { return p.hasPrefix("agent_id", "1") }},
		"machine": {Filter{Machines: []string{machine}}, func(p plainRecord) bool { return p.hasPrefix("machine_id", machine) }},
		"reason": {Filter{Reasons: []string{"exec_disabled"}}, func(p plainRecord) bool {
			return p.hasPrefix("event", "denial") && p.hasPrefix("reason", "exec_disabled")
		}},
		"text":        {Filter{Text: "make status"}, func(p plainRecord) bool { return p.hasText("make status") }},
		"text, case":  {Filter{Text: "Make"}, func(p plainRecord) bool { return p.hasText("Make") }},
		"node, event": {Filter{Nodes: []string{peerOf(1)}, Events: []string{"started"}}, func(p plainRecord) bool { return p.ref.Log.Peer == peerOf(1) && p.hasPrefix("event", "started") }},
	} {
		t.Run(name, func(t *testing.T) {
			var want []RecordRef
			for _, p := range all {
				if c.fits(p) {
					want = append(want, p.ref)
				}
				if c.fits(p) != c.f.MatchRecord(p.ref.Log, p.ref.Time, []byte(p.line)) {
					t.Fatalf("%s: a follower shows it otherwise", p.line)
				}
			}
			if len(want) == 0 || name != "all" && len(want) == len(all) {
				t.Fatalf("%d of %d fit: that shows nothing", len(want), len(all))
			}
			for _, limit := range []int{1, 10, len(all)} {
				got, vector, err := r.m.Newest(t.Context(), c.f, limit)
				if err != nil || !slices.Equal(got, want[:min(limit, len(want))]) {
					t.Fatalf("%d records, want %d: %v\n%v\n%v", len(got), min(limit, len(want)), err, got, want)
				}
				for _, l := range r.h.Logs() {
					if vector[holdings.NameOf(l)] != l.Size() {
						t.Errorf("the vector is %v", vector)
					}
				}
			}
		})
	}
}

// An unreadable line fits by its node, its time and its text alone.
func TestUnreadableRecordFits(t *testing.T) {
	log, line := merkle.LogName{Peer: peerOf(1)}, []byte(`{"half of a rec`)
	if !(Filter{Text: "half", Nodes: []string{peerOf(1)}}).MatchRecord(log, 5, line) {
		t.Error("its text is not found")
	}
	for _, f := range []Filter{{Events: []string{"exit"}}, {Until: 5}, {Text: "rest"}, {Requests: []string{"00"}}} {
		if f.MatchRecord(log, 5, line) {
			t.Errorf("it fits %+v", f)
		}
	}
}
