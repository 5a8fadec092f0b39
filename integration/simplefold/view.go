package main

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// view is every record that operates.
type view []record

// object is a JSON object whose fields keep their order.
type object []any // name, value, name, value

func (o object) MarshalJSONTo(e *jsontext.Encoder) error {
	check(e.WriteToken(jsontext.BeginObject))
	for _, x := range o {
		check(json.MarshalEncode(e, x))
	}
	return e.WriteToken(jsontext.EndObject)
}

// rank is how many logs of the node precede this one.
func (v view) rank(node, log string) int {
	seen := []string{log}
	for {
		var first *record
		for _, r := range v {
			if r.event == "log_succeeded" && r.node == node && r.log == log && r.str("log") != log && (first == nil || r.seq < first.seq) {
				first = &r
			}
		}
		if first == nil || slices.Contains(seen, first.str("log")) {
			return len(seen) - 1
		}
		log = first.str("log")
		seen = append(seen, log)
	}
}

// covers says whether a removal covers a tag.
func covers(rm, tag record) bool {
	if rm.event != "task_removed" || rm.node != tag.node {
		return false
	}
	if id := rm.str("request_id"); id != "" {
		return id == tag.str("request_id") && rm.log == tag.log && tag.seq < rm.seq
	}
	ranges, _ := is[[]seqRange](rm.f["ranges"])
	return slices.ContainsFunc(ranges, func(x seqRange) bool { return *x.Log == tag.log && *x.First <= tag.seq && tag.seq < *x.End })
}

// names says whether a record's "replaces" has the dot of another.
func names(r, other record) bool {
	list, _ := is[[]dot](r.f["replaces"])
	return slices.ContainsFunc(list, func(d dot) bool { return *d.Node == other.node && *d.Log == other.log && *d.Seq == other.seq })
}

func (v view) hash() string {
	slices.SortFunc(v, v.compare)
	tasks := map[string][]record{} // tags, in the order of their dots
	for _, r := range v {
		if r.isTag() {
			key := r.node + " " + r.str("request_id")
			tasks[key] = append(tasks[key], r)
		}
	}
	var keys []string
	for key := range tasks {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	h := sha256.New()
	h.Write([]byte("auditmesh view v1\n"))
	for _, key := range keys {
		node, id, _ := strings.Cut(key, " ")
		raw, err := json.Marshal(v.item(node, id, tasks[key]))
		check(err)
		h.Write(append(raw, '\n'))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// winner is the completion, else the claim, of the earliest time, then the lowest dot.
func winner(marks []record, done ...string) (state string, best *record) {
	rank := func(r record) int {
		if slices.Contains(done, r.event) {
			return 0
		}
		return 1
	}
	for _, r := range marks { // in the order of dots
		if best == nil || rank(r) < rank(*best) || rank(r) == rank(*best) && r.ts < best.ts {
			best = &r
		}
	}
	if best == nil {
		return "empty", nil
	}
	return []string{"done", "claimed"}[rank(*best)], best
}

func (v view) item(node, id string, tags []record) object {
	shown, removals := []record{}, view{}
	records, warnings, removed := []object{}, []object{}, []object{}
	for _, t := range tags {
		gone := false
		for _, r := range v {
			if covers(r, t) {
				gone = true
				removals = append(removals, r)
			}
		}
		if !gone {
			shown = append(shown, t)
		}
		records = append(records, object{"log", t.log, "seq", t.seq, "event", t.event, "ts_unix_ms", t.ts, "removed", gone})
	}
	for _, r := range v {
		if slices.ContainsFunc(removals, func(x record) bool { return x.node == r.node && x.log == r.log && x.seq == r.seq }) {
			removed = append(removed, object{"log", r.log, "seq", r.seq, "ts_unix_ms", r.ts, "reason", r.str("reason")})
		}
	}
	present := len(shown) > 0
	if !present {
		shown = tags
	}
	var about, start *record
	var marks []record
	for _, r := range shown {
		switch r.event {
		case "request", "denial":
			if about == nil {
				about = &r
			}
		case "warning":
			warnings = append(warnings, object{"ts_unix_ms", r.ts, "kind", r.str("kind"), "bytes", orNull(r.f["bytes"])})
		case "started":
			if start == nil {
				start = &r
			}
		}
		if r.event == "started" || r.event == "exit" || r.event == "denial" {
			marks = append(marks, r)
		}
	}
	it := object{"node", node, "request_id", id, "present", present, "ts_unix_ms", shown[0].ts}
	state, end := winner(marks, "exit", "denial")
	it = append(it, "state", state)
	agent, machine, argv, acl, stdin, timeout := "", "", jsontext.Value("[]"), jsontext.Value(nil), jsontext.Value("0"), jsontext.Value("0")
	if about != nil {
		agent, machine, argv = about.str("agent_id"), about.str("machine_id"), about.f["argv"]
		if about.event == "request" {
			acl, stdin, timeout = about.f["matched_acl"], about.f["stdin_bytes"], about.f["timeout_ms"]
		}
	}
	it = append(it, "agent_id", agent, "machine_id", machine, "argv", get[[]string](argv), "matched_acl", orNull(acl), "stdin_bytes", get[uint64](stdin), "timeout_ms", get[uint64](timeout))
	var pid, outcome, denial any
	if start != nil {
		pid = orNull(start.f["pid"])
	}
	if end != nil && end.event == "exit" {
		o := object{"ts_unix_ms", end.ts}
		for _, name := range []string{"code", "signal", "duration_ms", "stdout_bytes", "stderr_bytes", "truncated"} {
			o = append(o, name, orNull(end.f[name]))
		}
		outcome = o
	} else if end != nil && end.event == "denial" {
		denial = end.str("reason")
	}
	return append(it, "pid", pid, "outcome", outcome, "denial", denial, "warnings", warnings, "review", v.review(node, id), "records", records, "removals", removed)
}

func orNull(v jsontext.Value) any {
	if s, ok := is[string](v); ok {
		return s // with the escapes of ours, not of the line
	}
	if n, ok := is[int64](v); ok {
		return n // and the digits of ours
	}
	if n, ok := is[uint64](v); ok {
		return n
	}
	if len(v) == 0 {
		return nil
	}
	return v
}

func (v view) review(node, id string) object {
	var on, marks []record
	for _, r := range v {
		if strings.HasPrefix(r.event, "task_") && r.event != "task_removed" && r.str("node") == node && r.str("request_id") == id {
			on = append(on, r)
		}
	}
	for _, r := range on {
		released := slices.ContainsFunc(on, func(x record) bool { return x.event == "task_released" && names(x, r) })
		if (r.event == "task_claimed" || r.event == "task_completed") && !released {
			marks = append(marks, r)
		}
	}
	state, best := winner(marks, "task_completed")
	o := object{"state", state, "by", "", "node", "", "ts_unix_ms", 0}
	if best != nil {
		o = object{"state", state, "by", best.str("by"), "node", best.node, "ts_unix_ms", best.ts}
	}
	for _, field := range []string{"note", "priority", "assignee"} {
		var last *record
		for _, r := range on {
			replaced := slices.ContainsFunc(on, func(x record) bool {
				self := x.node == r.node && x.log == r.log && x.seq == r.seq
				return x.event == "task_noted" && x.str("field") == field && !self && names(x, r)
			})
			if r.event == "task_noted" && r.str("field") == field && !replaced && (last == nil || r.ts >= last.ts) {
				last = &r
			}
		}
		if last == nil {
			o = append(o, field, nil)
		} else {
			o = append(o, field, last.str("value"))
		}
	}
	return o
}
