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

// Rank is how many logs precede l.
func (s *SuccessionOrder) Rank(l Log) int {
	return RankBy(l, func(l Log) (Log, bool) {
		op, ok := s.old[l]
		if !ok {
			return Log{}, false
		}
		return op.Body.(Succession).Old, true
	})
}

// RankBy is how many logs precede l, if old tells which one a log goes on from.
// A log that lies in a circle gets a rank all the same, and the same one
// everywhere.
func RankBy(l Log, old func(Log) (Log, bool)) int {
	seen := map[Log]bool{l: true}
	for {
		before, ok := old(l)
		if !ok || seen[before] {
			return len(seen) - 1
		}
		seen[before] = true
		l = before
	}
}
