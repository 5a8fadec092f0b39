package api

import (
	"time"

	"auditmesh/crdt"
	"auditmesh/mirror"
)

// SkewAfter is from what difference on two clocks are said to differ. Clocks that
// nobody sets drift by less in years, and time zones differ by less.
const SkewAfter = 24 * time.Hour

// Ahead is how far a recorded time, in milliseconds since 1970, is ahead of a
// clock, in milliseconds; 0 if that is SkewAfter or less. Such a record stands at
// the top of every list, however old it is.
func Ahead(ms uint64, now time.Time) uint64 {
	if at := uint64(max(0, now.UnixMilli())); ms > at && ms-at > uint64(SkewAfter.Milliseconds()) {
		return ms - at
	}
	return 0
}

// Task is a task as it is answered.
type Task struct {
	crdt.Item
	AheadMS uint64 `json:"ahead_ms,omitempty"` // Ahead of its time, by the node's clock
}

// TaskPage is a page of tasks: mirror.TaskPage, and what to know about it.
type TaskPage struct {
	Tasks   []Task `json:"tasks"`
	Next    string `json:"next,omitempty"`
	Partial bool   `json:"partial,omitempty"`
	Ahead   int    `json:"ahead,omitempty"` // tasks of this page with an AheadMS
	// Damaged are the copies that cannot be read, with the reasons: tasks that are
	// in these alone may be missing.
	Damaged map[string]string `json:"damaged_copies,omitempty"`
}

// Change is a mirror.Change as it is told.
type Change struct {
	Node      string `json:"node,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	Task      *Task  `json:"task,omitempty"`
	Missed    uint64 `json:"missed,omitempty"`
	// Error is why the changes end here. It is set in a last line alone.
	Error *Refusal `json:"error,omitempty"`
}

func (c Change) failure() *Refusal  { return c.Error }
func (l LogLine) failure() *Refusal { return l.Error }

func (s *Server) marked(items []crdt.Item) []Task {
	out := make([]Task, len(items))
	for i, it := range items {
		out[i] = s.markedTask(it)
	}
	return out
}

func (s *Server) markedTask(it crdt.Item) Task { return Task{it, Ahead(it.Time, s.now())} }

func (s *Server) markedChange(c mirror.Change) Change {
	out := Change{Node: c.Node, RequestID: c.RequestID, Missed: c.Missed}
	if c.Task != nil {
		t := s.markedTask(*c.Task)
		out.Task = &t
	}
	return out
}
