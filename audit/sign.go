package audit

import "fmt"

func (l *Log) sign() error {
	l.signMu.Lock()
	defer l.signMu.Unlock()
	head, bytes := l.chain.head()
	last, _ := l.kept.last()
	if head.Size == last.size {
		return nil
	}
	name, _ := l.Name()
	bounds, err := l.bounds(last, anchor{size: head.Size, root: head.Root(), pos: bytes})
	if err != nil {
		return err
	}
	state := SignedState{Peer: l.peer, Log: name.IDString(), Size: head.Size, Root: head.Root(), Sealed: l.sealed}
	if err := writeSigned(l.opts.FS, l.opts.SignedPath, state); err != nil {
		return fmt.Errorf("write the last-signed state, without which nothing is signed: %w", err)
	}
	if err := l.keep(name, bounds); err != nil {
		return err
	}
	l.chain.changed.Notify()
	return nil
}

// bounds are the sizes to sign on the way from one checkpoint to the next, so
// that no run between them is longer than a batch may be. Where what is new is
// longer, its lines are read to find them.
func (l *Log) bounds(from, to anchor) ([]anchor, error) {
	if fits(from.size, from.pos, to) {
		return []anchor{to}, nil
	}
	frontier, _, err := l.chain.frontierAt(from.size)
	if err != nil {
		return nil, err
	}
	var list []anchor
	at := anchor{size: from.size, pos: from.pos}
	var lh lineHasher
	r := l.Reader(from.size)
	defer r.Close()
	for r.Seq() < to.size {
		rec, err := r.Next()
		if err != nil {
			return nil, err
		}
		step := anchor{size: at.size + 1, pos: at.pos + int64(len(rec.Line)) + 1}
		if !fits(from.size, from.pos, step) {
			at.root = frontier.Root()
			list = append(list, at)
			from = at
		}
		frontier.Append(lh.line(rec.ended()).hash)
		at = step
	}
	return append(list, to), nil
}

// keep signs what the last-signed state covers already, and keeps it.
func (l *Log) keep(name LogName, bounds []anchor) error {
	for i := range bounds {
		c, err := signCheckpoint(l.signer, Checkpoint{Log: name, Size: bounds[i].size, Root: bounds[i].root})
		if err != nil {
			return err
		}
		bounds[i].note = c.Note
	}
	return l.kept.add(nil, bounds...)
}
