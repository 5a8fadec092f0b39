package audit

import (
	"fmt"

	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

func (l *Log) sign() error {
	l.signMu.Lock()
	defer l.signMu.Unlock()
	head, bytes := l.seq.Head()
	last, _ := l.kept.Last()
	if head.Size == last.Size {
		return nil
	}
	name, _ := l.Name()
	bounds, err := l.bounds(last, segment.Kept{Size: head.Size, Root: head.Root(), End: bytes})
	if err != nil {
		return err
	}
	state := SignedState{Peer: l.owner, Log: name.IDString(), Size: head.Size, Root: head.Root(), Sealed: l.sealed}
	if err := writeSigned(l.opts.FS, l.opts.SignedPath, state); err != nil {
		return fmt.Errorf("write the last-signed state, without which nothing is signed: %w", err)
	}
	if err := l.keep(name, bounds); err != nil {
		return err
	}
	l.seq.Wake()
	return nil
}

// bounds are the sizes to sign on the way from one checkpoint to the next, so
// that no run between them is longer than a batch may be. Where what is new is
// longer, its lines are read to find them.
func (l *Log) bounds(from, to segment.Kept) ([]segment.Kept, error) {
	if segment.FitsRun(from.Size, from.End, to) {
		return []segment.Kept{to}, nil
	}
	frontier, _, err := l.seq.FrontierAt(from.Size)
	if err != nil {
		return nil, err
	}
	tree := frontier.Range()
	var list []segment.Kept
	at := segment.Kept{Size: from.Size, End: from.End}
	var lh segment.LineHasher
	r := l.Reader(from.Size)
	defer r.Close()
	for r.Seq() < to.Size {
		rec, err := r.Next()
		if err != nil {
			return nil, err
		}
		step := segment.Kept{Size: at.Size + 1, End: at.End + int64(len(rec.Line)) + 1}
		if !segment.FitsRun(from.Size, from.End, step) {
			at.Root = tree.Root()
			list = append(list, at)
			from = at
		}
		tree.AppendLeaf(lh.Line(rec.Ended()).Hash)
		at = step
	}
	return append(list, to), nil
}

// keep signs what the last-signed state covers already, and keeps it.
func (l *Log) keep(name merkle.LogName, bounds []segment.Kept) error {
	for i := range bounds {
		c, err := merkle.SignCheckpoint(l.signer, merkle.Checkpoint{Log: name, Size: bounds[i].Size, Root: bounds[i].Root})
		if err != nil {
			return err
		}
		bounds[i].Note = c.Note
	}
	return l.kept.Add(nil, bounds...)
}
