package crdt

import (
	"encoding/hex"
	"slices"
)

// FoldVersion names the rules by which records become items. It is part of the
// view hash: nodes with other rules have other hashes.
const FoldVersion = "1"

// Item is a task as it is shown. Its JSON, with the fields in this order, is
// what the view hash is made of (docs/formats.md, "View hash"): only what
// records say.
type Item struct {
	Node      string `json:"node"`
	RequestID string `json:"request_id"`
	// Present is false for a task all of whose records were removed; the other
	// fields then are those of the removed records.
	Present bool   `json:"present"`
	Time    uint64 `json:"ts_unix_ms"` // of the lowest dot
	State   State  `json:"state"`

	AgentID    string   `json:"agent_id"`
	MachineID  string   `json:"machine_id"`
	Argv       []string `json:"argv"`
	MatchedACL *string  `json:"matched_acl"`
	StdinBytes uint64   `json:"stdin_bytes"`
	TimeoutMS  uint32   `json:"timeout_ms"`

	PID      *uint32       `json:"pid"`
	Outcome  *ItemOutcome  `json:"outcome"` // of an exit
	Denial   *string       `json:"denial"`  // the reason of a denial
	Warnings []ItemWarning `json:"warnings"`
	Review   ItemReview    `json:"review"`
	Records  []ItemRecord  `json:"records"`
	Removals []ItemRemoval `json:"removals"`
}

// ItemOutcome is how the process ended.
type ItemOutcome struct {
	Time        uint64 `json:"ts_unix_ms"`
	Code        *int32 `json:"code"`
	Signal      *int32 `json:"signal"`
	DurationMS  uint64 `json:"duration_ms"`
	StdoutBytes uint64 `json:"stdout_bytes"`
	StderrBytes uint64 `json:"stderr_bytes"`
	Truncated   bool   `json:"truncated"`
}

// ItemWarning is one warning.
type ItemWarning struct {
	Time  uint64  `json:"ts_unix_ms"`
	Kind  string  `json:"kind"`
	Bytes *uint64 `json:"bytes"`
}

// ItemReview is the review's checkbox and registers.
type ItemReview struct {
	State    State   `json:"state"`
	By       string  `json:"by"`
	Node     string  `json:"node"`
	Time     uint64  `json:"ts_unix_ms"`
	Note     *string `json:"note"`
	Priority *string `json:"priority"`
	Assignee *string `json:"assignee"`
}

// ItemRecord is one record of the task.
type ItemRecord struct {
	Log     string `json:"log"`
	Seq     uint64 `json:"seq"`
	Event   string `json:"event"`
	Time    uint64 `json:"ts_unix_ms"`
	Removed bool   `json:"removed"`
}

// ItemRemoval is a removal that covers records of the task.
type ItemRemoval struct {
	Log    string `json:"log"`
	Seq    uint64 `json:"seq"`
	Time   uint64 `json:"ts_unix_ms"`
	Reason string `json:"reason"`
}

// Show is the task as its operations make it, and its place in the list; the zero
// Place if no tag of it is kept. Two replicas that have seen the same operations
// show the same item.
func (l *TaskList) Show(t *Task) (Item, Place, error) {
	it := Item{
		Node: t.Key.Node, RequestID: hex.EncodeToString(t.Key.Request[:]),
		Argv: []string{}, Warnings: []ItemWarning{}, Records: []ItemRecord{}, Removals: []ItemRemoval{},
	}
	shown, removals := l.surviving(t, &it)
	for _, r := range removals {
		reason := r.Body.(Removal).Reason
		it.Removals = append(it.Removals, ItemRemoval{hex.EncodeToString(r.Dot.ID[:]), r.Dot.Seq, r.Time, reason})
	}
	var place Place
	if len(shown) > 0 {
		place = Place{shown[0].Time, shown[0].Dot}
	}
	it.Time = place.Time
	it.showExecution(l, shown)
	it.showReview(l, t)
	return it, place, l.err
}

// surviving fills in the records, and returns the tags that are shown, lowest
// first, with the removals that cover any of the task's.
func (l *TaskList) surviving(t *Task, it *Item) (shown, removals []Op) {
	seen := make(map[Dot]bool)
	var all []Op
	for _, e := range t.tags.all(l) {
		covering := l.removalsOf(t, e.Dot)
		for _, r := range covering {
			if !seen[r.Dot] {
				seen[r.Dot] = true
				removals = append(removals, r)
			}
		}
		all = append(all, e.Value)
		if len(covering) == 0 {
			shown = append(shown, e.Value)
		}
		it.Records = append(it.Records, ItemRecord{hex.EncodeToString(e.Dot.ID[:]), e.Dot.Seq, eventName(e.Value.Body), e.Value.Time, len(covering) > 0})
	}
	slices.SortFunc(removals, func(a, b Op) int { return CompareDots(l, a.Dot, b.Dot) })
	it.Present = len(shown) > 0
	if !it.Present {
		shown = all
	}
	return shown, removals
}

// showExecution makes the fields that the task's own node determines. Of
// several requests or denials the lowest dot's fields show.
func (it *Item) showExecution(o Order, shown []Op) {
	var box Checkbox
	described := false
	describe := func(agent, machine [32]byte, argv []string) bool {
		if described {
			return false
		}
		described = true
		it.AgentID, it.MachineID = hex.EncodeToString(agent[:]), hex.EncodeToString(machine[:])
		it.Argv = append(it.Argv, argv...)
		return true
	}
	for _, op := range shown {
		switch b := op.Body.(type) {
		case Request:
			if describe(b.Agent, b.Machine, b.Argv) {
				it.MatchedACL, it.StdinBytes, it.TimeoutMS = b.MatchedACL, b.StdinBytes, b.TimeoutMS
			}
		case Started:
			box.Claim(op)
			if it.PID == nil {
				it.PID = &b.PID
			}
		case Warning:
			it.Warnings = append(it.Warnings, ItemWarning{op.Time, b.Kind, b.Bytes})
		case Exit:
			box.Complete(op)
		case Denial:
			box.Complete(op)
			describe(b.Agent, b.Machine, b.Argv)
		}
	}
	var by Op
	it.State, by = box.Show(o)
	switch b := by.Body.(type) {
	case Exit:
		it.Outcome = &ItemOutcome{by.Time, b.Code, b.Signal, b.DurationMS, b.StdoutBytes, b.StderrBytes, b.Truncated}
	case Denial:
		it.Denial = &b.Reason
	}
}

func (it *Item) showReview(o Order, t *Task) {
	state, op := t.review.Show(o)
	it.Review.State = state
	if b, ok := op.Body.(Review); ok {
		it.Review.By, it.Review.Node, it.Review.Time = b.By, op.Dot.Node, op.Time
	}
	for field, to := range map[string]**string{"note": &it.Review.Note, "priority": &it.Review.Priority, "assignee": &it.Review.Assignee} {
		if r := t.notes[field]; r != nil {
			if op, ok := r.Show(o); ok {
				value := op.Body.(Note).Value
				*to = &value
			}
		}
	}
}
