package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
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
	if o == nil {
		return e.WriteToken(jsontext.Null)
	}
	check(e.WriteToken(jsontext.BeginObject))
	for _, x := range o {
		check(json.MarshalEncode(e, x))
	}
	return e.WriteToken(jsontext.EndObject)
}

// object has some of a record's fields; of no record, what is given as absent.
func (r *record) object(absent object, names ...string) (o object) {
	if r == nil {
		return absent
	}
	for _, name := range names {
		o = append(o, name, r.f[name])
	}
	return o
}

// value is a field's value, nil of no record.
func (r *record) value(name string) any {
	if r == nil {
		return nil
	}
	return r.f[name]
}

// rank is how many logs of the node precede this one.
func (v view) rank(node, log string) int {
	for seen := []string{log}; ; seen = append(seen, log) {
		next := ""
		for _, r := range slices.Backward(v) { // so that the first counts
			if r.is("log_succeeded") && r.node == node && r.log == log && r.str("log") != log {
				next = r.str("log")
			}
		}
		if next == "" || slices.Contains(seen, next) {
			return len(seen) - 1
		}
		log = next
	}
}

// covers says whether a removal covers a tag.
func covers(rm, tag record) bool {
	if !rm.is("task_removed") || rm.node != tag.node {
		return false
	}
	if id := rm.f["request_id"]; id != nil {
		return id == tag.f["request_id"] && rm.log == tag.log && tag.seq < rm.seq
	}
	return slices.ContainsFunc(rm.f["ranges"].([]any), func(x any) bool {
		f := x.(map[string]any)
		return f["log"] == tag.log && u64(f["first"]) <= tag.seq && tag.seq < u64(f["end"])
	})
}

// replaces says whether a record names another's dot as one that it takes the place of.
func (r record) replaces(other record) bool {
	return slices.ContainsFunc(r.f["replaces"].([]any), func(x any) bool {
		f := x.(map[string]any)
		return f["node"] == other.node && f["log"] == other.log && u64(f["seq"]) == other.seq
	})
}

func (r record) isTag() bool {
	return strings.HasPrefix(r.event, "x-") || r.is("request", "started", "warning", "exit", "denial")
}

func (v view) hash() string {
	order := slices.Clone(v)
	slices.SortFunc(order, func(a, b record) int { // of dots
		return cmp.Or(strings.Compare(a.node, b.node), cmp.Compare(v.rank(a.node, a.log), v.rank(b.node, b.log)), strings.Compare(a.log, b.log), cmp.Compare(a.seq, b.seq))
	})
	tasks := map[[2]string][]record{}
	for _, r := range order {
		if key := [2]string{r.node, r.str("request_id")}; r.isTag() {
			tasks[key] = append(tasks[key], r)
		}
	}
	h := sha256.New()
	h.Write([]byte("auditmesh view v1\n"))
	for _, key := range slices.SortedFunc(maps.Keys(tasks), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		raw, err := json.Marshal(order.item(key[0], key[1], tasks[key]))
		check(err)
		h.Write(append(raw, '\n'))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// winner is the completion, else the claim, of the earliest time, then the lowest dot.
func winner(list []record, claim string, done ...string) (string, *record) {
	state, events := "done", done
	for range 2 {
		var best *record
		for _, r := range list { // in the order of dots
			if r.is(events...) && (best == nil || r.ts < best.ts) {
				best = &r
			}
		}
		if best != nil {
			return state, best
		}
		state, events = "claimed", []string{claim}
	}
	return "empty", nil
}

func (v view) item(node, id string, tags []record) object {
	var shown []record
	records, warnings, removals := []object{}, []object{}, []object{}
	for _, t := range tags {
		gone := slices.ContainsFunc(v, func(r record) bool { return covers(r, t) })
		if !gone {
			shown = append(shown, t)
		}
		records = append(records, object{"log", t.log, "seq", t.seq, "event", t.event, "ts_unix_ms", t.ts, "removed", gone})
	}
	for _, r := range v {
		if slices.ContainsFunc(tags, func(t record) bool { return covers(r, t) }) {
			removals = append(removals, object{"log", r.log, "seq", r.seq, "ts_unix_ms", r.ts, "reason", r.f["reason"]})
		}
	}
	present := len(shown) > 0
	if !present {
		shown = tags
	}
	var about, request, start, exit, denial *record
	for _, r := range slices.Backward(shown) { // so that the first counts
		switch {
		case r.is("request", "denial"):
			about = &r
		case r.is("started"):
			start = &r
		case r.is("warning"):
			warnings = slices.Insert(warnings, 0, r.object(nil, "ts_unix_ms", "kind", "bytes"))
		}
	}
	if about != nil && about.is("request") {
		request = about
	}
	state, end := winner(shown, "started", "exit", "denial")
	if end != nil && end.is("exit") {
		exit = end
	} else if end != nil && end.is("denial") {
		denial = end
	}
	return slices.Concat(
		object{"node", node, "request_id", id, "present", present, "ts_unix_ms", shown[0].ts, "state", state},
		about.object(object{"agent_id", "", "machine_id", "", "argv", []string{}}, "agent_id", "machine_id", "argv"),
		request.object(object{"matched_acl", nil, "stdin_bytes", 0, "timeout_ms", 0}, "matched_acl", "stdin_bytes", "timeout_ms"),
		start.object(object{"pid", nil}, "pid"),
		object{"outcome", exit.object(nil, "ts_unix_ms", "code", "signal", "duration_ms", "stdout_bytes", "stderr_bytes", "truncated")},
		object{"denial", denial.value("reason"), "warnings", warnings, "review", v.review(node, id), "records", records, "removals", removals})
}

func (v view) review(node, id string) object {
	var on, marks []record
	for _, r := range v {
		if strings.HasPrefix(r.event, "task_") && !r.is("task_removed") && r.f["node"] == node && r.f["request_id"] == id {
			on = append(on, r)
		}
	}
	for _, r := range on {
		if !slices.ContainsFunc(on, func(x record) bool { return x.is("task_released") && x.replaces(r) }) {
			marks = append(marks, r)
		}
	}
	state, best := winner(marks, "task_claimed", "task_completed")
	o := object{"state", state, "by", "", "node", "", "ts_unix_ms", 0}
	if best != nil {
		o = object{"state", state, "by", best.f["by"], "node", best.node, "ts_unix_ms", best.ts}
	}
	for _, field := range []string{"note", "priority", "assignee"} {
		var last *record
		for _, r := range on {
			replaced := slices.ContainsFunc(on, func(x record) bool {
				self := x.node == r.node && x.log == r.log && x.seq == r.seq
				return x.is("task_noted") && x.f["field"] == field && !self && x.replaces(r)
			})
			if r.is("task_noted") && r.f["field"] == field && !replaced && (last == nil || r.ts >= last.ts) {
				last = &r
			}
		}
		o = append(o, field, last.value("value"))
	}
	return o
}
