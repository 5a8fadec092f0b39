package mirror

import (
	"context"
	"encoding/hex"
	"errors"
	"io"

	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// Change says that records changed a task, or that changes were missed.
type Change struct {
	Node      string `json:"node,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// Task is the task as it is now, nil if it does not fit the filter, or does not
	// any more.
	Task *crdt.Item `json:"task,omitempty"`
	// Missed is how many records were not looked at, since a subscriber was too far
	// behind them, or retention was faster: what they changed is in the list alone.
	Missed uint64 `json:"missed,omitempty"`
}

const (
	// maxBehind is how many records are looked at for a subscriber at one time: what
	// it is further behind the view, and what removals of ranges take away beyond
	// that, it missed.
	maxBehind = 10_000
	// queueBytes bounds the names of changed tasks that are kept for a subscriber,
	// about six thousand. What more changed, it missed.
	queueBytes = 1 << 20
	// changesRead is how many changed tasks are read of one state of the view, and
	// readBytes about how many bytes they have together. One task is read whole.
	changesRead = 256
	readBytes   = 1 << 20
)

// Changes calls emit for the tasks that records change from now on, each as it is
// when it is told: changes that come fast are told once. Of the filter's fields,
// those that a task's life changes (states, events, reasons, review, removal) may
// stop to fit, and then a change without a task says so; tasks that the others
// rule out are not told. It reads the logs for itself, so however slow emit is,
// the fold does not wait; ready is called when nothing from then on will be left
// out. It returns nil when ctx ends. What retention takes away is not told.
func (m *Mirror) Changes(ctx context.Context, f Filter, ready func() error, emit func(Change) error) error {
	wake, cancel := m.Subscribe()
	defer cancel()
	c := changes{m: m, filter: f}
	var err error
	if c.at, err = m.folded(); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		}
		if err := c.tell(ctx, emit); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// folded is how far each log is folded.
func (m *Mirror) folded() (vector map[merkle.LogName]uint64, err error) {
	err = m.read(func(s *snapshot) error {
		vector, err = m.vector(s)
		return err
	})
	return vector, err
}

func (m *Mirror) vector(s *snapshot) (map[merkle.LogName]uint64, error) {
	vector := make(map[merkle.LogName]uint64)
	for _, l := range m.holdings.Logs() {
		c, err := cursorOf(s.tx, l)
		if err != nil {
			return nil, err
		}
		vector[holdings.NameOf(l)] = c.Size
	}
	return vector, nil
}

// changes is one subscription.
type changes struct {
	m      *Mirror
	filter Filter
	at     map[merkle.LogName]uint64 // up to which records of each log were looked at

	// Of one round:
	looked uint64 // records
	missed uint64
	order  []crdt.TaskKey // that changed
	seen   map[crdt.TaskKey]bool
	bytes  int // that order and seen have, about
}

// tell tells of all that was folded since the last round.
func (c *changes) tell(ctx context.Context, emit func(Change) error) error {
	now, err := c.m.folded()
	if err != nil {
		return err
	}
	c.looked, c.missed, c.bytes, c.order, c.seen = 0, 0, 0, nil, make(map[crdt.TaskKey]bool)
	for _, l := range c.m.holdings.Logs() {
		name := holdings.NameOf(l)
		if err := c.look(ctx, l, c.at[name], now[name], c.changed); err != nil {
			return err
		}
		c.at[name] = max(c.at[name], now[name]) // a rebuild begins from nothing again
	}
	if c.missed > 0 {
		if err := emit(Change{Missed: c.missed}); err != nil {
			return err
		}
	}
	c.seen = nil // emit may take its time, and what is kept meanwhile is little
	for len(c.order) > 0 {
		list, n, err := c.read(c.order[:min(len(c.order), changesRead)])
		if err != nil {
			return err
		}
		for _, change := range list {
			if err := errors.Join(emit(change), ctx.Err()); err != nil {
				return err
			}
		}
		c.order = c.order[n:]
	}
	return nil
}

// look calls f for the operations of the records [from, end) of a log.
func (c *changes) look(ctx context.Context, l holdings.Log, from, end uint64, f func(context.Context, crdt.Op) error) error {
	if first := l.First(); from < first {
		if from > 0 {
			c.missed += min(first, end) - min(from, end)
		}
		from = first
	}
	if from >= end {
		return nil
	}
	if c.looked+(end-from) > maxBehind {
		c.missed += end - from
		return nil
	}
	c.looked += end - from
	r := l.Reader(from)
	defer r.Close()
	log := rows.LogOf(holdings.NameOf(l))
	for r.Seq() < end && ctx.Err() == nil {
		seq := r.Seq()
		rec, err := r.Next()
		if errors.Is(err, segment.ErrRetired) || errors.Is(err, io.EOF) {
			c.missed += end - seq
			return nil
		}
		if err != nil {
			return err
		}
		e, err := event.Decode(rec.Line)
		if err != nil {
			continue // an unreadable record changes no task
		}
		if op, ok := rows.Operation(log, seq, e); ok {
			if err := f(ctx, op); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed takes in the tasks that an operation changes.
func (c *changes) changed(ctx context.Context, op crdt.Op) error {
	if removal, ok := op.Body.(crdt.Removal); ok {
		for _, r := range removal.Ranges {
			if l, held := c.m.holdings.Log(rows.NameOf(r.Log)); held {
				if err := c.look(ctx, l, max(r.First, l.First()), min(r.End, c.at[holdings.NameOf(l)]), c.removed); err != nil {
					return err
				}
			}
		}
	}
	c.add(op.Task)
	return nil
}

// removed takes in the task of a record that a range took away.
func (c *changes) removed(_ context.Context, op crdt.Op) error {
	if crdt.IsTag(op.Body) {
		c.add(op.Task)
	}
	return nil
}

func (c *changes) add(task crdt.TaskKey) {
	if task == (crdt.TaskKey{}) || c.seen[task] {
		return
	}
	const rest = 128 // of one in a slice and in a map
	if c.bytes += len(task.Node) + rest; c.bytes > queueBytes {
		c.missed++
		return
	}
	c.seen[task] = true
	c.order = append(c.order, task)
}

// read makes the changes of the first n of some tasks, of one state of the view.
func (c *changes) read(keys []crdt.TaskKey) (list []Change, n int, err error) {
	err = c.m.read(func(s *snapshot) error {
		for bytes := 0; n < len(keys) && bytes < readBytes; {
			key := keys[n]
			n++
			task, err := s.list.Task(key)
			if err != nil {
				return err
			}
			if !task.Exists() {
				continue // a review came before its task
			}
			it, _, err := s.list.Show(task)
			if err != nil {
				return err
			}
			bytes += bytesOfItem(it)
			change := Change{Node: key.Node, RequestID: hex.EncodeToString(key.Request[:])}
			if !c.filter.lasting().Match(it) {
				continue
			}
			if c.filter.Match(it) {
				change.Task = &it
			}
			list = append(list, change)
		}
		return nil
	})
	return list, n, err
}

// bytesOfItem is about how many bytes an item has in memory.
func bytesOfItem(it crdt.Item) int {
	const fields = 1 << 10 // and what is of limited length
	n := fields + 128*(len(it.Records)+len(it.Warnings)+len(it.Removals))
	for _, arg := range it.Argv {
		n += 16 + len(arg)
	}
	for _, w := range it.Warnings {
		n += len(w.Kind)
	}
	for _, r := range it.Removals {
		n += len(r.Reason)
	}
	for _, text := range []*string{it.Denial, it.MatchedACL, it.Review.Note, it.Review.Priority, it.Review.Assignee} {
		if text != nil {
			n += len(*text)
		}
	}
	return n
}

// lasting is the part of a filter that fits a task always or never.
func (f Filter) lasting() Filter {
	f.States, f.Events, f.Reasons, f.Unreviewed, f.Removed, f.OnlyRemoved = nil, nil, nil, false, true, false
	return f
}
