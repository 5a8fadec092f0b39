package crdttest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"auditmesh/crdt"
)

// Model is the set of all operations. What they must show is worked out naively:
// each answer looks at every operation, and nothing is kept.
type Model []crdt.Op

func (m Model) rank(l crdt.Log) int {
	seen := []crdt.Log{l}
	for {
		var found *crdt.Op
		for _, op := range m {
			s, ok := op.Body.(crdt.Succession)
			if ok && op.Dot.Log == l && s.Old.Node == l.Node && s.Old != l && (found == nil || op.Dot.Seq < found.Dot.Seq) {
				found = &op
			}
		}
		if found == nil || slices.Contains(seen, found.Body.(crdt.Succession).Old) {
			return len(seen) - 1
		}
		l = found.Body.(crdt.Succession).Old
		seen = append(seen, l)
	}
}

func (m Model) less(a, b crdt.Dot) bool {
	key := func(d crdt.Dot) string { return fmt.Sprintf("%s %03d %x %03d", d.Node, m.rank(d.Log), d.ID, d.Seq) }
	return key(a) < key(b)
}

func (m Model) isRemoved(tag crdt.Op) bool {
	for _, op := range m {
		r, ok := op.Body.(crdt.Removal)
		if !ok || op.Dot.Node != tag.Dot.Node {
			continue
		}
		if len(r.Ranges) == 0 && op.Task == tag.Task && op.Dot.Log == tag.Dot.Log && tag.Dot.Seq < op.Dot.Seq {
			return true
		}
		if slices.ContainsFunc(r.Ranges, func(x crdt.Range) bool { return x.Log.Node != op.Dot.Node }) {
			continue // it may not name another node's records, and does nothing
		}
		for _, x := range r.Ranges {
			if x.Log == tag.Dot.Log && x.First <= tag.Dot.Seq && tag.Dot.Seq < x.End {
				return true
			}
		}
	}
	return false
}

type shown struct {
	present     bool
	time        uint64
	state       crdt.State
	timeout     uint32
	end         string
	warnings    int
	reviewState crdt.State
	reviewBy    string
	note, prio  string
}

func (m Model) show(key crdt.TaskKey) (s shown, exists bool) {
	var tags, live []crdt.Op
	for _, op := range m {
		if op.Task == key && crdt.IsTag(op.Body) {
			tags = append(tags, op)
			if !m.isRemoved(op) {
				live = append(live, op)
			}
		}
	}
	if len(tags) == 0 {
		return s, false
	}
	s.present = len(live) > 0
	if s.present {
		tags = live
	}
	slices.SortFunc(tags, func(a, b crdt.Op) int {
		if m.less(a.Dot, b.Dot) {
			return -1
		}
		return 1
	})
	s.time = tags[0].Time
	s.state = crdt.Empty
	described := false
	var end *crdt.Op
	for _, op := range tags {
		switch b := op.Body.(type) {
		case crdt.Request:
			if !described {
				s.timeout = b.TimeoutMS
			}
			described = true
		case crdt.Warning:
			s.warnings++
		case crdt.Started:
			if s.state == crdt.Empty {
				s.state = crdt.Claimed
			}
		case crdt.Exit, crdt.Denial:
			s.state = crdt.Done
			described = described || reflect.TypeOf(b) == reflect.TypeOf(crdt.Denial{})
			if end == nil || op.Time < end.Time {
				end = &op
			}
		}
	}
	if end != nil {
		s.end = fmt.Sprint(end.Dot)
	}
	s.reviewState, s.reviewBy = m.review(key)
	s.note, s.prio = m.register(key, "note"), m.register(key, "priority")
	return s, true
}

func (m Model) review(key crdt.TaskKey) (crdt.State, string) {
	var best *crdt.Op
	for _, op := range m {
		b, ok := op.Body.(crdt.Review)
		if !ok || op.Task != key || m.released(key, op.Dot) {
			continue
		}
		switch {
		case best == nil, b.Completed && !best.Body.(crdt.Review).Completed:
			best = &op
		case b.Completed == best.Body.(crdt.Review).Completed && (op.Time < best.Time || op.Time == best.Time && m.less(op.Dot, best.Dot)):
			best = &op
		}
	}
	switch {
	case best == nil:
		return crdt.Empty, ""
	case best.Body.(crdt.Review).Completed:
		return crdt.Done, best.Body.(crdt.Review).By
	default:
		return crdt.Claimed, best.Body.(crdt.Review).By
	}
}

func (m Model) released(key crdt.TaskKey, d crdt.Dot) bool {
	for _, op := range m {
		if r, ok := op.Body.(crdt.Release); ok && op.Task == key && slices.Contains(r.Replaces, d) {
			return true
		}
	}
	return false
}

func (m Model) register(key crdt.TaskKey, field string) string {
	var best *crdt.Op
	for _, op := range m {
		n, ok := op.Body.(crdt.Note)
		if !ok || op.Task != key || n.Field != field {
			continue
		}
		replaced := false
		for _, by := range m {
			b, ok := by.Body.(crdt.Note)
			replaced = replaced || ok && by.Task == key && b.Field == field && by.Dot != op.Dot && slices.Contains(b.Replaces, op.Dot)
		}
		if !replaced && (best == nil || op.Time > best.Time || op.Time == best.Time && m.less(best.Dot, op.Dot)) {
			best = &op
		}
	}
	if best == nil {
		return ""
	}
	return best.Body.(crdt.Note).Value
}

// Check compares what a list shows with the model.
func (m Model) Check(list *crdt.TaskList) error {
	items, err := Newest(list)
	if err != nil {
		return err
	}
	n := 0
	for _, node := range nodes() {
		for request := byte(1); request <= 2; request++ {
			key := crdt.TaskKey{Node: node, Request: [16]byte{request}}
			want, exists := m.show(key)
			i := slices.IndexFunc(items, func(it crdt.Item) bool {
				return it.Node == node && it.RequestID[:2] == fmt.Sprintf("%02x", request)
			})
			if (i >= 0) != exists {
				return fmt.Errorf("task %v: listed %v, want %v", key, i >= 0, exists)
			}
			if !exists {
				continue
			}
			n++
			it := items[i]
			got := shown{it.Present, it.Time, it.State, it.TimeoutMS, "", len(it.Warnings), it.Review.State, it.Review.By, str(it.Review.Note), str(it.Review.Priority)}
			if it.Outcome != nil {
				got.end = endDot(slices.Clone(m), it)
			}
			if it.Denial != nil {
				got.end = *it.Denial
			}
			if got != want {
				return fmt.Errorf("task %v:\n got %+v\nwant %+v", key, got, want)
			}
		}
	}
	if n != len(items) {
		return fmt.Errorf("%d items, want %d", len(items), n)
	}
	if !slices.IsSortedFunc(items, func(a, b crdt.Item) int { return int(b.Time) - int(a.Time) }) {
		return errors.New("not newest first")
	}
	return nil
}

// Newest are all tasks that a list has, removed ones too, newest first.
func Newest(list *crdt.TaskList) ([]crdt.Item, error) {
	type row struct {
		item  crdt.Item
		place crdt.Place
	}
	var rows []row
	err := list.Each(func(t *crdt.Task) error {
		it, place, err := list.Show(t)
		rows = append(rows, row{it, place})
		return err
	})
	slices.SortFunc(rows, func(a, b row) int { return list.ComparePlaces(b.place, a.place) })
	items := make([]crdt.Item, len(rows))
	for i, r := range rows {
		items[i] = r.item
	}
	return items, errors.Join(err, list.Err())
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// endDot finds the exit that an outcome shows: exits of one test differ in
// their duration, which is their seq, and their log.
func endDot(ops []crdt.Op, it crdt.Item) string {
	var found []string
	for _, op := range ops {
		if x, ok := op.Body.(crdt.Exit); ok && op.Task.Node == it.Node && fmt.Sprintf("%02x", op.Task.Request[0]) == it.RequestID[:2] &&
			x.DurationMS == it.Outcome.DurationMS && op.Time == it.Outcome.Time {
			found = append(found, fmt.Sprint(op.Dot))
		}
	}
	if len(found) > 1 { // two logs' exits look alike: the lower log's shows, by the model's order
		slices.SortFunc(ops, func(a, b crdt.Op) int {
			if Model(ops).less(a.Dot, b.Dot) {
				return -1
			}
			return 1
		})
		for _, op := range ops {
			if slices.Contains(found, fmt.Sprint(op.Dot)) && (!it.Present || !Model(ops).isRemoved(op)) {
				return fmt.Sprint(op.Dot)
			}
		}
	}
	return found[0]
}
