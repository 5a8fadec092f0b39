package node

import (
	"context"
	"errors"
	"io"
	"slices"
	"unicode/utf8"

	"auditmesh/audit"
	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
	"auditmesh/internal/api"
	"auditmesh/mirror"
)

// Log answers with the newest records, oldest first, and follows if asked: each
// log from where it was folded then, so that nothing is missed or doubled,
// however slow the reader is.
func (n *Node) Log(ctx context.Context, q api.LogQuery, emit func(api.LogLine) error, caughtUp func() error) error {
	wake, cancel := n.mirror.Subscribe()
	defer cancel()
	readers := newReaders(n.holdings)
	defer readers.close()
	refs, vector, err := n.mirror.Newest(ctx, q.Filter, q.Limit)
	if err != nil {
		return err
	}
	slices.Reverse(refs)
	for _, ref := range refs {
		line, err := readers.read(ref.Log, ref.Seq)
		if errors.Is(err, segment.ErrRetired) {
			continue // since the view was asked
		}
		if errors.Is(err, api.ErrNotFound) {
			if err := emit(n.unavailable(ref)); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := emit(logLine(ref.Log, ref.Seq, ref.Time, line)); err != nil {
			return err
		}
	}
	for q.Follow {
		if err := n.emitNew(ctx, q.Filter, vector, readers, emit); err != nil {
			return err
		}
		if err := caughtUp(); err != nil {
			return err
		}
		readers.close() // it may be long, and there may be many who wait
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		}
	}
	return nil
}

// unavailable is the answer for a record that the view has, of a log that is not
// held: its copy was damaged after the record was folded.
func (n *Node) unavailable(ref mirror.RecordRef) api.LogLine {
	out := api.LogLine{Node: ref.Log.Peer, Log: ref.Log.IDString(), Seq: ref.Seq, Time: ref.Time, Unavailable: "nothing is held of its log any more"}
	dir := audit.CopyDir(n.cfg.copiesDir(), ref.Log)
	if why, ok := n.holdings.Damaged()[dir]; ok {
		out.Unavailable = "the copy " + dir + " is damaged: " + why
	}
	return out
}

// emitNew emits what each log has beyond the vector and fits, and moves the
// vector. After a gap the next record is emitted anyway, with the gap.
func (n *Node) emitNew(ctx context.Context, f mirror.Filter, vector map[merkle.LogName]uint64, readers *readers, emit func(api.LogLine) error) error {
	for _, l := range n.holdings.Logs() {
		name, _ := l.Name()
		missed := uint64(0)
		if at, first := vector[name], l.First(); at < first {
			if vector[name] = first; at > 0 {
				missed = first - at
			}
		}
		for size := l.Size(); vector[name] < size && ctx.Err() == nil; vector[name]++ {
			if len(f.Nodes) > 0 && !slices.Contains(f.Nodes, name.Peer) {
				vector[name] = size
				break
			}
			line, err := readers.read(name, vector[name])
			if errors.Is(err, segment.ErrRetired) {
				break // just now; the next round says so
			}
			if err != nil {
				return err
			}
			out := logLine(name, vector[name], 0, line)
			if missed == 0 && !f.MatchRecord(name, out.Time, line) {
				continue
			}
			out.Missed, missed = missed, 0
			if err := emit(out); err != nil {
				return err
			}
		}
	}
	return nil
}

// logLine makes the answer for a record. An unreadable one shows at the time at
// which the view placed it.
func logLine(name merkle.LogName, seq, placed uint64, line []byte) api.LogLine {
	out := api.LogLine{Node: name.Peer, Log: name.IDString(), Seq: seq, Time: placed}
	if e, err := event.Decode(line); err == nil {
		out.Time = e.Time()
	}
	if utf8.Valid(line) {
		out.Line = string(line)
	} else {
		out.LineBase64 = slices.Clone(line)
	}
	return out
}

// maxReaders bounds the readers, each with a file and a buffer, that one question
// keeps open.
const maxReaders = 16

// readers keeps one reader a log, since records of one log are mostly asked for
// in order.
type readers struct {
	holdings *holdings.Holdings
	open     map[merkle.LogName]*segment.Reader
}

func newReaders(h *holdings.Holdings) *readers {
	return &readers{h, make(map[merkle.LogName]*segment.Reader)}
}

func (r *readers) read(name merkle.LogName, seq uint64) ([]byte, error) {
	rd := r.open[name]
	if rd == nil || rd.Seq() != seq {
		if rd != nil {
			rd.Close()
		}
		if len(r.open) >= maxReaders {
			r.close()
		}
		l, ok := r.holdings.Log(name)
		if !ok {
			return nil, api.ErrNotFound
		}
		rd = l.Reader(seq)
		r.open[name] = rd
	}
	rec, err := rd.Next()
	if errors.Is(err, io.EOF) {
		return nil, api.ErrNotFound
	}
	return rec.Line, err
}

func (r *readers) close() {
	for _, rd := range r.open {
		rd.Close()
	}
	clear(r.open)
}
