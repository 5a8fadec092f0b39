package crdt

// SuccessionOrder is the order of each node's logs, from what their records say.
// The zero value knows of no succession.
type SuccessionOrder struct {
	old map[Log]Op // by succeeding log: the statement with the lowest seq
}

// Add takes in a Succession. Of several in one log the first counts.
func (s *SuccessionOrder) Add(op Op) {
	if _, ok := op.Body.(Succession); !ok || !op.valid() {
		return
	}
	if s.old == nil {
		s.old = make(map[Log]Op)
	}
	if have, ok := s.old[op.Dot.Log]; !ok || op.Dot.Seq < have.Dot.Seq {
		s.old[op.Dot.Log] = op
	}
}

// Merge takes in all that o knows.
func (s *SuccessionOrder) Merge(o *SuccessionOrder) {
	for _, op := range o.old {
		s.Add(op)
	}
}

// Rank is how many logs precede l. A node that lies in a circle gets a rank all
// the same, and the same one everywhere.
func (s *SuccessionOrder) Rank(l Log) int {
	seen := map[Log]bool{l: true}
	for {
		op, ok := s.old[l]
		if !ok {
			return len(seen) - 1
		}
		l = op.Body.(Succession).Old
		if seen[l] {
			return len(seen) - 1
		}
		seen[l] = true
	}
}
