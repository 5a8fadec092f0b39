package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"auditmesh/audit/event"
	"auditmesh/mirror"
)

// The parameters of /v1/tasks, of /v1/changes those of a filter, and of /v1/log
// those of a record: node, agent, machine, request, event, reason and state, each as often as there are values of which any fits; since and until in
// milliseconds since 1970; unreviewed=true; removed=true (also) or only; text;
// order=oldest; limit; after.

func taskValues(t mirror.TaskQuery) url.Values {
	q := url.Values{"limit": {strconv.Itoa(t.Limit)}}
	for name, list := range lists(&t.Filter) {
		if len(*list) > 0 {
			q[name] = *list
		}
	}
	for name, n := range map[string]uint64{"since": t.Since, "until": t.Until} {
		if n > 0 {
			q.Set(name, strconv.FormatUint(n, 10))
		}
	}
	for name, v := range map[string]string{
		"unreviewed": map[bool]string{true: "true"}[t.Unreviewed],
		"removed":    map[bool]string{true: "only"}[t.OnlyRemoved],
		"text":       t.Text,
		"order":      map[bool]string{true: "oldest"}[t.Oldest],
		"after":      t.After,
	} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if t.Removed && !t.OnlyRemoved {
		q.Set("removed", "true")
	}
	return q
}

func lists(f *mirror.Filter) map[string]*[]string {
	return map[string]*[]string{
		"node": &f.Nodes, "agent": &f.Agents, "machine": &f.Machines, "request": &f.Requests,
		"event": &f.Events, "reason": &f.Reasons, "state": &f.States,
	}
}

func logValues(l LogQuery) url.Values {
	q := taskValues(mirror.TaskQuery{Filter: l.Filter, Limit: l.Limit})
	if l.Follow {
		q.Set("follow", "true")
	}
	return q
}

// logQuery reads the parameters of /v1/log.
func logQuery(r *http.Request) (l LogQuery, err error) {
	for name := range r.URL.Query() {
		if slices.Contains([]string{"state", "unreviewed", "removed", "order", "after"}, name) {
			return l, &Refusal{Code: "bad_parameter", Field: name, Message: "records have no " + name + ": ask for tasks"}
		}
	}
	q := r.URL.Query()
	follow := q.Get("follow")
	if follow != "" && follow != "true" && follow != "false" {
		return l, badWord("follow", "true or false")
	}
	q.Del("follow")
	t, err := taskQuery(q, 100)
	return LogQuery{Filter: t.Filter, Limit: min(t.Limit, MaxRecords), Follow: follow == "true"}, err
}

// changesQuery reads the parameters of /v1/changes: those of a filter.
func changesQuery(r *http.Request) (mirror.Filter, error) {
	for name := range r.URL.Query() {
		if slices.Contains([]string{"limit", "order", "after"}, name) {
			return mirror.Filter{}, &Refusal{Code: "bad_parameter", Field: name, Message: "changes have no " + name + ": they are told as they come"}
		}
	}
	t, err := taskQuery(r.URL.Query(), 0)
	return t.Filter, err
}

// taskQuery reads the parameters. Unknown ones, and unknown words, are refused:
// an answer to another question would be worse than none.
func taskQuery(q url.Values, limit int) (t mirror.TaskQuery, err error) {
	known := []string{"limit", "since", "until", "unreviewed", "removed", "text", "order", "after"}
	for name, list := range lists(&t.Filter) {
		*list = q[name]
		known = append(known, name)
	}
	for name := range q {
		if !slices.Contains(known, name) {
			return t, &Refusal{Code: "bad_parameter", Field: name, Message: "no parameter is called " + name}
		}
	}
	if t.Limit, err = number(q, "limit", limit); err != nil {
		return t, err
	}
	for name, to := range map[string]*uint64{"since": &t.Since, "until": &t.Until} {
		if v := q.Get(name); v != "" {
			if *to, err = strconv.ParseUint(v, 10, 64); err != nil {
				return t, badParameter(name)
			}
		}
	}
	for _, state := range t.States {
		if !slices.Contains([]string{mirror.StateRunning, mirror.StateFailed, mirror.StateDenied, mirror.StateDone, mirror.StatePending}, state) {
			return t, badWord("state", "running, failed, denied, done or pending")
		}
	}
	for name, words := range map[string]map[string]func(){
		"unreviewed": {"true": func() { t.Unreviewed = true }, "false": func() {}},
		"removed":    {"true": func() { t.Removed = true }, "only": func() { t.OnlyRemoved = true }, "false": func() {}},
		"order":      {"oldest": func() { t.Oldest = true }, "newest": func() {}},
	} {
		if v := q.Get(name); v != "" {
			set := words[v]
			if set == nil {
				return t, badWord(name, map[string]string{"unreviewed": "true or false", "removed": "true, only or false", "order": "oldest or newest"}[name])
			}
			set()
		}
	}
	t.Text, t.After = q.Get("text"), q.Get("after")
	return t, nil
}

func number(q url.Values, name string, absent int) (int, error) {
	v := q.Get(name)
	if v == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, badParameter(name)
	}
	return n, nil
}

func badWord(name, words string) error {
	return &Refusal{Code: "bad_parameter", Field: name, Message: "the parameter " + name + " is " + words}
}

// Removal retires tasks of the node from the shared view, which /v1/remove takes.
type Removal struct {
	Request string `json:"request_id,omitempty"` // of one task, or the beginning of it
	// Before removes, in place of that, all tasks of the node's records up to the
	// last one before that time, milliseconds since 1970.
	Before uint64 `json:"before_unix_ms,omitempty"`
	Reason string `json:"reason"`
}

// Removed says what a removal covers.
type Removed struct {
	Appended
	Ranges []event.SeqRange `json:"ranges,omitempty"`
}
