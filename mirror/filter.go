package mirror

import (
	"slices"
	"strings"

	"auditmesh/crdt"
)

// Filter says which tasks are wanted. Values of one field are alternatives;
// different fields must all match. The zero value wants all that are present.
type Filter struct {
	Nodes    []string // of one of these nodes
	Agents   []string // whose agent's id begins with one of these, in hex
	Machines []string // whose machine's id does
	Requests []string // whose request id does
	Events   []string // that have a record of one of these events
	Reasons  []string // that were denied for one of these reasons
	States   []string // that are in one of these: StateRunning, …
	// Since and Until bound the task's time, [Since, Until) in milliseconds since
	// 1970; an Until of 0 bounds nothing.
	Since, Until uint64
	Unreviewed   bool // whose review nobody has completed
	Removed      bool // also tasks whose records were all removed
	OnlyRemoved  bool // only those
	// Text is in the arguments, joined by spaces; without regard to case if it has
	// no capitals.
	Text string
}

// States that a Filter tells apart.
const (
	StateRunning = "running" // started, and not ended as far as is known
	StateFailed  = "failed"  // ended by a signal, or with another code than 0
	StateDenied  = "denied"
	StateDone    = "done" // ended with code 0
	StatePending = "pending"
)

// StateOf is the state of a task that a Filter goes by.
func StateOf(it crdt.Item) string {
	switch o := it.Outcome; {
	case it.Denial != nil:
		return StateDenied
	case o != nil && o.Signal == nil && (o.Code == nil || *o.Code == 0):
		return StateDone
	case o != nil:
		return StateFailed
	case it.State == crdt.Claimed:
		return StateRunning
	}
	return StatePending
}

// Match says whether a task fits.
func (f Filter) Match(it crdt.Item) bool {
	switch {
	case !it.Present && !f.Removed && !f.OnlyRemoved, it.Present && f.OnlyRemoved:
		return false
	case it.Time < f.Since, f.Until > 0 && it.Time >= f.Until:
		return false
	case len(f.Nodes) > 0 && !slices.Contains(f.Nodes, it.Node):
		return false
	case !hasPrefix(it.AgentID, f.Agents), !hasPrefix(it.MachineID, f.Machines), !hasPrefix(it.RequestID, f.Requests):
		return false
	case len(f.States) > 0 && !slices.Contains(f.States, StateOf(it)):
		return false
	case len(f.Reasons) > 0 && (it.Denial == nil || !slices.Contains(f.Reasons, *it.Denial)):
		return false
	case f.Unreviewed && it.Review.State == crdt.Done:
		return false
	case len(f.Events) > 0 && !slices.ContainsFunc(it.Records, func(r crdt.ItemRecord) bool { return slices.Contains(f.Events, r.Event) }):
		return false
	}
	return f.Text == "" || ContainsText(strings.Join(it.Argv, " "), f.Text)
}

// hasPrefix says whether an id begins with one of the wanted, if any are.
func hasPrefix(id string, wanted []string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool { return strings.HasPrefix(id, w) })
}

// ContainsText looks for a text, without regard to case if it has no capitals.
func ContainsText(in, text string) bool {
	if text == strings.ToLower(text) {
		in = strings.ToLower(in)
	}
	return strings.Contains(in, text)
}
