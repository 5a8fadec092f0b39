package event

import "fmt"

// The wire structs have a pointer for each field, so that absent and null are
// told from zero. One struct an event; event() checks what must be there.

type wire interface {
	event(ts uint64) (Event, error)
}

// common are the fields that decode has read already; a wire struct embeds them
// so that strict decoding does not call them unknown.
type common struct {
	Event     any        `json:"event"`
	TS        any        `json:"ts_unix_ms"`
	RequestID *RequestID `json:"request_id"`
}

type wireRequest struct {
	common
	Agent   *PartyID   `json:"agent_id"`
	Machine *PartyID   `json:"machine_id"`
	Argv    *[]*string `json:"argv"`
	ACL     *string    `json:"matched_acl"`
	Stdin   *uint64    `json:"stdin_bytes"`
	Timeout *uint32    `json:"timeout_ms"`
}

type wireStarted struct {
	common
	PID *uint32 `json:"pid"`
}

type wireWarning struct {
	common
	Kind  *string `json:"kind"`
	Bytes *uint64 `json:"bytes"`
}

type wireExit struct {
	common
	Code      *int32  `json:"code"`
	Signal    *int32  `json:"signal"`
	Duration  *uint64 `json:"duration_ms"`
	Stdout    *uint64 `json:"stdout_bytes"`
	Stderr    *uint64 `json:"stderr_bytes"`
	Truncated *bool   `json:"truncated"`
}

type wireDenial struct {
	common
	Agent   *PartyID   `json:"agent_id"`
	Machine *PartyID   `json:"machine_id"`
	Argv    *[]*string `json:"argv"`
	Reason  *string    `json:"reason"`
}

type wireSeqRange struct {
	Log   *PartyID `json:"log"`
	First *uint64  `json:"first"`
	End   *uint64  `json:"end"`
}

type wireRemoved struct {
	common
	Ranges *[]wireSeqRange `json:"ranges"`
	Reason *string         `json:"reason"`
}

type wireReview struct {
	common
	Node *string `json:"node"`
	By   *string `json:"by"`

	completed bool
}

type wireDot struct {
	Node *string  `json:"node"`
	Log  *PartyID `json:"log"`
	Seq  *uint64  `json:"seq"`
}

type wireReleased struct {
	common
	Node     *string    `json:"node"`
	By       *string    `json:"by"`
	Replaces *[]wireDot `json:"replaces"`
}

type wireNoted struct {
	common
	Node     *string    `json:"node"`
	By       *string    `json:"by"`
	Field    *string    `json:"field"`
	Value    *string    `json:"value"`
	Replaces *[]wireDot `json:"replaces"`
}

type wireSucceeded struct {
	common
	Log    *PartyID `json:"log"`
	Size   *uint64  `json:"size"`
	Root   *PartyID `json:"root"`
	Reason *string  `json:"reason"`
}

func wireFor(event string) wire {
	switch event {
	case "request":
		return new(wireRequest)
	case "started":
		return new(wireStarted)
	case "warning":
		return new(wireWarning)
	case "exit":
		return new(wireExit)
	case "denial":
		return new(wireDenial)
	case "task_removed":
		return new(wireRemoved)
	case "task_claimed":
		return new(wireReview)
	case "task_completed":
		return &wireReview{completed: true}
	case "task_released":
		return new(wireReleased)
	case "task_noted":
		return new(wireNoted)
	case "log_succeeded":
		return new(wireSucceeded)
	case "log_write_failed":
		return new(wireWriteFailed)
	case "disk_space_low":
		return new(wireSpaceLow)
	case "follow_bytes":
		return new(wireFollowBytes)
	case "follow_gap":
		return new(wireFollowGap)
	default:
		return nil
	}
}

// need notes the first field that is missing; the loads that follow it are then
// zero and never used.
type need struct{ missing string }

func get[T any](n *need, field string, v *T) (zero T) {
	if v == nil {
		if n.missing == "" {
			n.missing = field
		}
		return zero
	}
	return *v
}

func (n *need) done(e Event) (Event, error) {
	if n.missing != "" {
		return nil, &FieldError{n.missing, "is missing or null"}
	}
	return e, nil
}

// checked is for the mesh's own events, which are checked in every log alike:
// what they do to the view must not depend on who reads them.
func (n *need) checked(e Event) (Event, error) {
	if _, err := n.done(e); err != nil {
		return nil, err
	}
	return e, e.check()
}

func argvOf(n *need, v *[]*string) []string {
	list := get(n, "argv", v)
	argv := make([]string, len(list))
	for i, s := range list {
		argv[i] = get(n, fmt.Sprintf("argv/%d", i), s)
	}
	return argv
}

func dotsOf(n *need, v *[]wireDot) []Dot {
	list := get(n, "replaces", v)
	dots := make([]Dot, len(list))
	for i, d := range list {
		dots[i] = Dot{get(n, "replaces/node", d.Node), get(n, "replaces/log", d.Log), get(n, "replaces/seq", d.Seq)}
	}
	return dots
}

func (w *wireRequest) event(ts uint64) (Event, error) {
	var n need
	return n.done(&Request{
		TSUnixMS: ts, RequestID: get(&n, "request_id", w.RequestID),
		AgentID: get(&n, "agent_id", w.Agent), MachineID: get(&n, "machine_id", w.Machine),
		Argv: argvOf(&n, w.Argv), MatchedACL: w.ACL,
		StdinBytes: get(&n, "stdin_bytes", w.Stdin), TimeoutMS: get(&n, "timeout_ms", w.Timeout),
	})
}

func (w *wireStarted) event(ts uint64) (Event, error) {
	var n need
	return n.done(&Started{TSUnixMS: ts, RequestID: get(&n, "request_id", w.RequestID), PID: get(&n, "pid", w.PID)})
}

func (w *wireWarning) event(ts uint64) (Event, error) {
	var n need
	return n.done(&Warning{TSUnixMS: ts, RequestID: get(&n, "request_id", w.RequestID), Kind: get(&n, "kind", w.Kind), Bytes: w.Bytes})
}

func (w *wireExit) event(ts uint64) (Event, error) {
	var n need
	return n.done(&Exit{
		TSUnixMS: ts, RequestID: get(&n, "request_id", w.RequestID), Code: w.Code, Signal: w.Signal,
		DurationMS: get(&n, "duration_ms", w.Duration), StdoutBytes: get(&n, "stdout_bytes", w.Stdout),
		StderrBytes: get(&n, "stderr_bytes", w.Stderr), Truncated: get(&n, "truncated", w.Truncated),
	})
}

func (w *wireDenial) event(ts uint64) (Event, error) {
	var n need
	return n.done(&Denial{
		TSUnixMS: ts, RequestID: get(&n, "request_id", w.RequestID),
		AgentID: get(&n, "agent_id", w.Agent), MachineID: get(&n, "machine_id", w.Machine),
		Argv: argvOf(&n, w.Argv), Reason: get(&n, "reason", w.Reason),
	})
}

func (w *wireRemoved) event(ts uint64) (Event, error) {
	var n need
	e := &TaskRemoved{TSUnixMS: ts, RequestID: w.RequestID, Reason: get(&n, "reason", w.Reason)}
	for _, r := range get(&n, "ranges", w.Ranges) {
		e.Ranges = append(e.Ranges, SeqRange{get(&n, "ranges/log", r.Log), get(&n, "ranges/first", r.First), get(&n, "ranges/end", r.End)})
	}
	return n.checked(e)
}

func (w *wireReview) event(ts uint64) (Event, error) {
	var n need
	return n.checked(&Reviewed{
		Completed: w.completed, TSUnixMS: ts, Node: get(&n, "node", w.Node),
		RequestID: get(&n, "request_id", w.RequestID), By: get(&n, "by", w.By),
	})
}

func (w *wireReleased) event(ts uint64) (Event, error) {
	var n need
	return n.checked(&TaskReleased{
		TSUnixMS: ts, Node: get(&n, "node", w.Node), RequestID: get(&n, "request_id", w.RequestID),
		By: get(&n, "by", w.By), Replaces: dotsOf(&n, w.Replaces),
	})
}

func (w *wireNoted) event(ts uint64) (Event, error) {
	var n need
	return n.checked(&TaskNoted{
		TSUnixMS: ts, Node: get(&n, "node", w.Node), RequestID: get(&n, "request_id", w.RequestID), By: get(&n, "by", w.By),
		Field: get(&n, "field", w.Field), Value: get(&n, "value", w.Value), Replaces: dotsOf(&n, w.Replaces),
	})
}

func (w *wireSucceeded) event(ts uint64) (Event, error) {
	var n need
	return n.checked(&LogSucceeded{
		TSUnixMS: ts, Log: get(&n, "log", w.Log), Size: get(&n, "size", w.Size),
		Root: get(&n, "root", w.Root), Reason: get(&n, "reason", w.Reason),
	})
}

type wireWriteFailed struct {
	common
	Since    *uint64 `json:"since_unix_ms"`
	Failures *uint64 `json:"failures"`
	InDoubt  *uint64 `json:"in_doubt"`
	Refused  *uint64 `json:"refused"`
	Error    *string `json:"error"`
}

func (w *wireWriteFailed) event(ts uint64) (Event, error) {
	var n need
	return n.checked(&LogWriteFailed{
		TSUnixMS: ts, Since: get(&n, "since_unix_ms", w.Since), Failures: get(&n, "failures", w.Failures),
		InDoubt: get(&n, "in_doubt", w.InDoubt), Refused: get(&n, "refused", w.Refused), Error: get(&n, "error", w.Error),
	})
}

type wireSpaceLow struct {
	common
	Free  *uint64 `json:"free_bytes"`
	Floor *uint64 `json:"floor_bytes"`
}

func (w *wireSpaceLow) event(ts uint64) (Event, error) {
	var n need
	return n.checked(&DiskSpaceLow{ts, get(&n, "free_bytes", w.Free), get(&n, "floor_bytes", w.Floor)})
}

type wireFollowBytes struct {
	common
	Path   *string `json:"path"`
	Offset *uint64 `json:"offset"`
	Line   *[]byte `json:"line"`
}

func (w *wireFollowBytes) event(ts uint64) (Event, error) {
	var n need
	return n.checked(&FollowBytes{ts, get(&n, "path", w.Path), get(&n, "offset", w.Offset), get(&n, "line", w.Line)})
}

type wireFollowGap struct {
	common
	Path   *string `json:"path"`
	Offset *uint64 `json:"offset"`
	Bytes  *uint64 `json:"bytes"`
	Reason *string `json:"reason"`
}

func (w *wireFollowGap) event(ts uint64) (Event, error) {
	var n need
	return n.checked(&FollowGap{ts, get(&n, "path", w.Path), get(&n, "offset", w.Offset), get(&n, "bytes", w.Bytes), get(&n, "reason", w.Reason)})
}
