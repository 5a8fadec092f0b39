package audit

// Retire removes the segments whose records are all before the record at first.
// What the tree needs of them is in the head of the first that stays. A crash
// leaves some of them removed; then Retire is called again.
func (l *Log) Retire(first uint64) error {
	l.signMu.Lock()
	defer l.signMu.Unlock()
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed { // the files may be another process's by now
		return ErrClosed
	}
	return l.store.Retire(first)
}

// Retire removes the segments whose records are all before the record at first,
// as that of a Log does.
func (c *Copy) Retire(first uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	return c.store.Retire(first)
}
