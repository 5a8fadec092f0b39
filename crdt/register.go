package crdt

// Register is a multi-value register. A write names the dots of the writes that
// it replaces, as its writer saw them; among writes that nobody replaced the
// greatest (recorded time, node, log, seq) shows. Ties are broken by what each
// write says of itself, never by a clock made when merging: that would not be
// associative. The zero value is unwritten.
type Register struct{ writes ORSet[Op] }

// Write takes in a write.
func (r *Register) Write(op Op, replaces ...Dot) {
	r.writes.Add(op.Dot, op)
	for _, d := range replaces {
		if d != op.Dot { // a write that replaces itself would not be one
			r.writes.Remove(d)
		}
	}
}

// Show is the write that shows, false if none does.
func (r *Register) Show(o Order) (Op, bool) {
	var best Op
	found := false
	for _, e := range r.writes.live(o) { // in the order of dots: the last of equals stays
		if !found || e.Value.Time >= best.Time {
			best, found = e.Value, true
		}
	}
	return best, found
}

// Writes are the dots of the writes that nobody replaced, lowest first: what the
// next write names.
func (r *Register) Writes(o Order) []Dot { return dotsOf(r.writes.live(o)) }
