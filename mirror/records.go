package mirror

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// RecordRef is where a record stands, and its recorded time.
type RecordRef struct {
	Log  merkle.LogName
	Seq  uint64
	Time uint64
}

// Newest finds the newest records by recorded time that fit the filter, newest
// first: at most limit. It also returns how far each log was folded then, where a
// follower goes on. It goes back as far as it must, until ctx ends.
func (m *Mirror) Newest(ctx context.Context, f Filter, limit int) (refs []RecordRef, vector map[merkle.LogName]uint64, err error) {
	lines := blocks{m.holdings, make(map[merkle.LogName]block)}
	err = m.read(func(s *snapshot) error {
		if vector, err = m.vector(s); err != nil {
			return err
		}
		scan := newTimeRows(s, TaskQuery{Filter: f}, nil)
		defer scan.close()
		for len(refs) < limit {
			row, ok, err := scan.next()
			if err := errors.Join(err, ctx.Err()); err != nil || !ok {
				return err
			}
			ref := RecordRef{rows.NameOf(row.place.Dot.Log), row.place.Dot.Seq, row.place.Time}
			if len(f.Nodes) > 0 && !slices.Contains(f.Nodes, ref.Log.Peer) {
				continue
			}
			if f.readsLines() {
				line, err := lines.line(ref.Log, ref.Seq)
				if errors.Is(err, segment.ErrRetired) {
					continue // just now
				}
				if err != nil {
					return err
				}
				if !f.MatchRecord(ref.Log, ref.Time, line) {
					continue
				}
			}
			refs = append(refs, ref)
		}
		return nil
	})
	return refs, vector, err
}

// readsLines says whether a record's line has to be looked at.
func (f Filter) readsLines() bool {
	return len(f.Agents)+len(f.Machines)+len(f.Requests)+len(f.Events)+len(f.Reasons) > 0 || f.Text != ""
}

// MatchRecord says whether a record fits, which stands at a time: of the fields
// that a record has no part of (States, Unreviewed, Removed) nothing is asked. An
// unreadable one fits by its node, its time and its text.
func (f Filter) MatchRecord(log merkle.LogName, time uint64, line []byte) bool {
	if len(f.Nodes) > 0 && !slices.Contains(f.Nodes, log.Peer) || time < f.Since || f.Until > 0 && time >= f.Until {
		return false
	}
	if !f.readsLines() {
		return true
	}
	var it crdt.Item
	var name, reason string
	text := string(line)
	if e, err := event.Decode(line); err == nil {
		name = e.Name()
		op, ok := rows.Operation(rows.LogOf(log), 0, e)
		if ok && op.Task != (crdt.TaskKey{}) {
			it.RequestID = hex.EncodeToString(op.Task.Request[:])
		}
		describe := func(agent, machine [32]byte, argv []string) {
			it.AgentID, it.MachineID = hex.EncodeToString(agent[:]), hex.EncodeToString(machine[:])
			text += "\n" + strings.Join(argv, " ") // as people write it
		}
		switch b := op.Body.(type) {
		case crdt.Request:
			describe(b.Agent, b.Machine, b.Argv)
		case crdt.Denial:
			describe(b.Agent, b.Machine, b.Argv)
			reason = b.Reason
		}
	}
	return hasPrefix(it.AgentID, f.Agents) && hasPrefix(it.MachineID, f.Machines) && hasPrefix(it.RequestID, f.Requests) &&
		(len(f.Events) == 0 || slices.Contains(f.Events, name)) && (len(f.Reasons) == 0 || slices.Contains(f.Reasons, reason)) &&
		(f.Text == "" || ContainsText(text, f.Text))
}

// blocks reads lines of several logs, each mostly backwards: of each log it
// keeps one run of lines.
type blocks struct {
	holdings *holdings.Holdings
	of       map[merkle.LogName]block
}

type block struct {
	first uint64
	lines [][]byte
}

const blockLines = 256 // as far apart as places from which a log can be read

func (b *blocks) line(name merkle.LogName, seq uint64) ([]byte, error) {
	have := b.of[name]
	if seq < have.first || seq >= have.first+uint64(len(have.lines)) {
		var err error
		if have, err = b.read(name, seq); err != nil {
			return nil, err
		}
		b.of[name] = have
	}
	return have.lines[seq-have.first], nil
}

// read reads the lines of the record's block up to the record.
func (b *blocks) read(name merkle.LogName, seq uint64) (out block, err error) {
	l, ok := b.holdings.Log(name)
	if !ok || seq < l.First() {
		return out, segment.ErrRetired
	}
	out.first = max(l.First(), seq/blockLines*blockLines)
	r := l.Reader(out.first)
	defer r.Close()
	for r.Seq() <= seq {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, errContradiction
		}
		if err != nil {
			return out, err
		}
		out.lines = append(out.lines, slices.Clone(rec.Line))
	}
	return out, nil
}
