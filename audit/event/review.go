package event

import "fmt"

// What people do to the tasks of the shared list. Only a node itself writes these;
// they are records of its log like any other, so that all shared state comes from
// logs.

var reviewKinds = []kind{
	{byNode: true, make: func(ts uint64) Event { return &TaskRemoved{TSUnixMS: ts} }},
	{byNode: true, make: func(ts uint64) Event { return &Reviewed{TSUnixMS: ts} }},
	{byNode: true, make: func(ts uint64) Event { return &Reviewed{TSUnixMS: ts, Completed: true} }},
	{byNode: true, make: func(ts uint64) Event { return &TaskReleased{TSUnixMS: ts} }},
	{byNode: true, make: func(ts uint64) Event { return &TaskNoted{TSUnixMS: ts} }},
}

// Dot names one record of one log, as the events here write it.
type Dot struct {
	Node string  `json:"node"`
	Log  PartyID `json:"log"`
	Seq  uint64  `json:"seq"`
}

func (d *Dot) fields(c codec) codec {
	c.text("node", &d.Node)
	c.partyID("log", &d.Log)
	c.uint64("seq", &d.Seq)
	return c
}

// SeqRange is the half-open range [First, End) of one of the writer's own logs.
type SeqRange struct {
	Log   PartyID `json:"log"`
	First uint64  `json:"first"`
	End   uint64  `json:"end"`
}

func (r *SeqRange) fields(c codec) codec {
	c.partyID("log", &r.Log)
	c.uint64("first", &r.First)
	c.uint64("end", &r.End)
	return c
}

// TaskRemoved retires tasks of its own node from the shared view. With a
// RequestID it covers that task's records before it in the same log; otherwise
// it covers the records in Ranges.
type TaskRemoved struct {
	TSUnixMS  uint64
	RequestID *RequestID
	Ranges    []SeqRange
	Reason    string
}

// Name is the line's "event".
func (*TaskRemoved) Name() string { return "task_removed" }

// Time is the line's "ts_unix_ms".
func (e *TaskRemoved) Time() uint64 { return e.TSUnixMS }

func (e *TaskRemoved) fields(c codec) codec {
	c.optionalRequestID("request_id", &e.RequestID)
	objects(&c, "ranges", &e.Ranges)
	c.text("reason", &e.Reason)
	return c
}

func (e *TaskRemoved) check() error {
	if (e.RequestID == nil) == (len(e.Ranges) == 0) {
		return &FieldError{"request_id", "a removal names a request_id or ranges, and not both"}
	}
	for _, r := range e.Ranges {
		if r.First >= r.End {
			return &FieldError{"ranges", fmt.Sprintf("[%d, %d) is empty", r.First, r.End)}
		}
	}
	return nil
}

// Reviewed is task_claimed or task_completed: review of a task of any node.
type Reviewed struct {
	Completed bool
	TSUnixMS  uint64
	Node      string
	RequestID RequestID
	By        string
}

// Name is the line's "event".
func (e *Reviewed) Name() string {
	if e.Completed {
		return "task_completed"
	}
	return "task_claimed"
}

// Time is the line's "ts_unix_ms".
func (e *Reviewed) Time() uint64 { return e.TSUnixMS }

func (e *Reviewed) fields(c codec) codec {
	c.peer("node", &e.Node)
	c.requestID("request_id", &e.RequestID)
	c.text("by", &e.By)
	return c
}

// TaskReleased takes back the claims and completions that it names.
type TaskReleased struct {
	TSUnixMS  uint64
	Node      string
	RequestID RequestID
	By        string
	Replaces  []Dot
}

// Name is the line's "event".
func (*TaskReleased) Name() string { return "task_released" }

// Time is the line's "ts_unix_ms".
func (e *TaskReleased) Time() uint64 { return e.TSUnixMS }

func (e *TaskReleased) fields(c codec) codec {
	c.peer("node", &e.Node)
	c.requestID("request_id", &e.RequestID)
	c.text("by", &e.By)
	objects(&c, "replaces", &e.Replaces)
	return c
}

// TaskNoted writes a register of a task's review: note, priority or assignee.
type TaskNoted struct {
	TSUnixMS  uint64
	Node      string
	RequestID RequestID
	By        string
	Field     string
	Value     string
	Replaces  []Dot
}

var noteFields = vocabulary{
	what:  "note, priority or assignee",
	words: []string{"note", "priority", "assignee"},
}

// Name is the line's "event".
func (*TaskNoted) Name() string { return "task_noted" }

// Time is the line's "ts_unix_ms".
func (e *TaskNoted) Time() uint64 { return e.TSUnixMS }

func (e *TaskNoted) fields(c codec) codec {
	c.peer("node", &e.Node)
	c.requestID("request_id", &e.RequestID)
	c.text("by", &e.By)
	c.word("field", &e.Field, &noteFields)
	c.text("value", &e.Value)
	objects(&c, "replaces", &e.Replaces)
	return c
}
