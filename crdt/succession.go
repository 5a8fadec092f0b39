package crdt

// Rank is how many logs of its node precede a log, as far as its records and
// theirs say. A log that lies in a circle gets a rank all the same, and the same
// one everywhere.
func (l *TaskList) Rank(log Log) int {
	seen := map[Log]bool{log: true}
	for {
		before, ok := l.predecessor(log)
		if !ok || seen[before] {
			return len(seen) - 1
		}
		seen[before] = true
		log = before
	}
}

// predecessor is the log that a log goes on from. Of several that its records
// name, the first counts.
func (l *TaskList) predecessor(log Log) (Log, bool) {
	old, known := l.predecessors[log]
	if !known {
		l.failed(l.store.Successions(log, func(op Op) bool {
			if op.allowed() {
				old = op.Body.(Succession).Old
				return false
			}
			return true
		}))
		l.predecessors[log] = old
	}
	return old, old != Log{}
}
