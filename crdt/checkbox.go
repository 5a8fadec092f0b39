package crdt

import "cmp"

// State is that of a checkbox.
type State string

// A checkbox goes from Empty over Claimed to Done.
const (
	Empty   State = "empty"
	Claimed State = "claimed"
	Done    State = "done"
)

// mark is one claim or completion of a checkbox.
type mark struct {
	done bool
	time uint64
	op   Op
}

// Checkbox is an OR-set of claims and completions: concurrent ones coexist, a
// release removes those that it names. Completion beats claim; among equals the
// earliest recorded time, then the lower dot.
type Checkbox struct{ marks ORSet[mark] }

// Claim adds the operation's claim.
func (c *Checkbox) Claim(op Op) { c.marks.Add(op.Dot, mark{false, op.Time, op}) }

// Complete adds the operation's completion.
func (c *Checkbox) Complete(op Op) { c.marks.Add(op.Dot, mark{true, op.Time, op}) }

// Release removes the marks of these dots.
func (c *Checkbox) Release(dots ...Dot) { c.marks.Remove(dots...) }

// Show is the state, and the operation that it comes from unless it is Empty.
func (c *Checkbox) Show(o Order) (State, Op) {
	var best *element[mark]
	for _, e := range c.marks.live(o) { // in the order of dots: the first of equals stays
		if best == nil || e.Value.before(best.Value) {
			best = &e
		}
	}
	switch {
	case best == nil:
		return Empty, Op{}
	case best.Value.done:
		return Done, best.Value.op
	default:
		return Claimed, best.Value.op
	}
}

func (m mark) before(n mark) bool {
	if m.done != n.done {
		return m.done
	}
	return cmp.Less(m.time, n.time)
}

// Marks are the dots of the claims and completions that nothing released, lowest
// first: what a release names.
func (c *Checkbox) Marks(o Order) []Dot { return dotsOf(c.marks.live(o)) }
