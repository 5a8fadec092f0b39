package crdt

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// The naive model is the set of all operations; what shows is worked out by
// looking at every one of them, with nothing kept.
type model []Op

func (m model) rank(l Log) int {
	seen := []Log{l}
	for {
		var found *Op
		for _, op := range m {
			s, ok := op.Body.(Succession)
			if ok && op.Dot.Log == l && s.Old.Node == l.Node && s.Old != l && (found == nil || op.Dot.Seq < found.Dot.Seq) {
				found = &op
			}
		}
		if found == nil || slices.Contains(seen, found.Body.(Succession).Old) {
			return len(seen) - 1
		}
		l = found.Body.(Succession).Old
		seen = append(seen, l)
	}
}

func (m model) less(a, b Dot) bool {
	key := func(d Dot) string { return fmt.Sprintf("%s %03d %x %03d", d.Node, m.rank(d.Log), d.ID, d.Seq) }
	return key(a) < key(b)
}

func (m model) isRemoved(tag Op) bool {
	for _, op := range m {
		r, ok := op.Body.(Removal)
		if !ok || op.Dot.Node != tag.Dot.Node {
			continue
		}
		if len(r.Ranges) == 0 && op.Task == tag.Task && op.Dot.Log == tag.Dot.Log && tag.Dot.Seq < op.Dot.Seq {
			return true
		}
		for _, x := range r.Ranges {
			if x.Log == tag.Dot.Log && x.First <= tag.Dot.Seq && tag.Dot.Seq < x.End && x.Log.Node == op.Dot.Node {
				return true
			}
		}
	}
	return false
}

type shown struct {
	present     bool
	time        uint64
	state       State
	timeout     uint32
	end         string
	warnings    int
	reviewState State
	reviewBy    string
	note, prio  string
}

func (m model) show(key TaskKey) (s shown, exists bool) {
	var tags, live []Op
	for _, op := range m {
		if op.Task == key && IsTag(op.Body) {
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
	slices.SortFunc(tags, func(a, b Op) int {
		if m.less(a.Dot, b.Dot) {
			return -1
		}
		return 1
	})
	s.time = tags[0].Time
	s.state = Empty
	described := false
	var end *Op
	for _, op := range tags {
		switch b := op.Body.(type) {
		case Request:
			if !described {
				s.timeout = b.TimeoutMS
			}
			described = true
		case Warning:
			s.warnings++
		case Started:
			if s.state == Empty {
				s.state = Claimed
			}
		case Exit, Denial:
			s.state = Done
			described = described || reflect.TypeOf(b) == reflect.TypeOf(Denial{})
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

func (m model) review(key TaskKey) (State, string) {
	var best *Op
	for _, op := range m {
		b, ok := op.Body.(Review)
		if !ok || op.Task != key || m.released(key, op.Dot) {
			continue
		}
		switch {
		case best == nil, b.Completed && !best.Body.(Review).Completed:
			best = &op
		case b.Completed == best.Body.(Review).Completed && (op.Time < best.Time || op.Time == best.Time && m.less(op.Dot, best.Dot)):
			best = &op
		}
	}
	switch {
	case best == nil:
		return Empty, ""
	case best.Body.(Review).Completed:
		return Done, best.Body.(Review).By
	default:
		return Claimed, best.Body.(Review).By
	}
}

func (m model) released(key TaskKey, d Dot) bool {
	for _, op := range m {
		if r, ok := op.Body.(Release); ok && op.Task == key && slices.Contains(r.Replaces, d) {
			return true
		}
	}
	return false
}

func (m model) register(key TaskKey, field string) string {
	var best *Op
	for _, op := range m {
		n, ok := op.Body.(Note)
		if !ok || op.Task != key || n.Field != field {
			continue
		}
		replaced := false
		for _, by := range m {
			b, ok := by.Body.(Note)
			replaced = replaced || ok && by.Task == key && b.Field == field && by.Dot != op.Dot && slices.Contains(b.Replaces, op.Dot)
		}
		if !replaced && (best == nil || op.Time > best.Time || op.Time == best.Time && m.less(best.Dot, op.Dot)) {
			best = &op
		}
	}
	if best == nil {
		return ""
	}
	return best.Body.(Note).Value
}

// check compares what a list shows with the model.
func (m model) check(list *TaskList) error {
	items := list.Items()
	n := 0
	for _, node := range nodeNames {
		for request := byte(1); request <= 2; request++ {
			key := TaskKey{node, [16]byte{request}}
			want, exists := m.show(key)
			i := slices.IndexFunc(items, func(it Item) bool {
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
	if !slices.IsSortedFunc(items, func(a, b Item) int { return int(b.Time) - int(a.Time) }) {
		return errors.New("not newest first")
	}
	return nil
}

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// endDot finds the exit that an outcome shows: exits of one test differ in
// their duration, which is their seq, and their log.
func endDot(ops []Op, it Item) string {
	var found []string
	for _, op := range ops {
		if x, ok := op.Body.(Exit); ok && op.Task.Node == it.Node && fmt.Sprintf("%02x", op.Task.Request[0]) == it.RequestID[:2] &&
			x.DurationMS == it.Outcome.DurationMS && op.Time == it.Outcome.Time {
			found = append(found, fmt.Sprint(op.Dot))
		}
	}
	if len(found) > 1 { // two logs' exits look alike: the lower log's shows, by the model's order
		slices.SortFunc(ops, func(a, b Op) int {
			if model(ops).less(a.Dot, b.Dot) {
				return -1
			}
			return 1
		})
		for _, op := range ops {
			if slices.Contains(found, fmt.Sprint(op.Dot)) && (!it.Present || !model(ops).isRemoved(op)) {
				return fmt.Sprint(op.Dot)
			}
		}
	}
	return found[0]
}
