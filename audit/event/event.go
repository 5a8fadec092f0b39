package event

// Event is one audit event. The concrete types are the pointers to the structs
// of this package; their fields are those of the line, in its order.
type Event interface {
	// Name is the line's "event".
	Name() string
	// Time is the line's "ts_unix_ms": milliseconds since 1970 by the clock of
	// the node that wrote it.
	Time() uint64
	// check says why the event cannot be written, or returns nil.
	check() error
	// appendFields writes what follows "ts_unix_ms", each with its comma.
	appendFields(dst []byte) []byte
}

// Request says that an execution was asked for.
type Request struct {
	TSUnixMS   uint64
	RequestID  RequestID
	AgentID    PartyID
	MachineID  PartyID
	Argv       []string
	MatchedACL *string
	StdinBytes uint64
	TimeoutMS  uint32
}

// Started says that the process runs.
type Started struct {
	TSUnixMS  uint64
	RequestID RequestID
	PID       uint32
}

// Warning reports a limit that was reached or came near.
type Warning struct {
	TSUnixMS  uint64
	RequestID RequestID
	Kind      string
	Bytes     *uint64
}

// Exit reports how the process ended.
type Exit struct {
	TSUnixMS    uint64
	RequestID   RequestID
	Code        *int32
	Signal      *int32
	DurationMS  uint64
	StdoutBytes uint64
	StderrBytes uint64
	Truncated   bool
}

// Denial says that an execution was refused, and why.
type Denial struct {
	TSUnixMS  uint64
	RequestID RequestID
	AgentID   PartyID
	MachineID PartyID
	Argv      []string
	Reason    string
}

// Application is an application's own event, named "x-…". Body is the whole
// line as it stands in the log; a task is joined where HasRequest is set.
type Application struct {
	EventName  string
	TSUnixMS   uint64
	HasRequest bool
	RequestID  RequestID
	Body       []byte
}

// Unknown is an event of a name that this version does not know. It is kept and
// shown, and operates on nothing.
type Unknown struct {
	EventName string
	TSUnixMS  uint64
}

// Kinds of warnings that x0x writes.
var warningKinds = map[string]bool{
	"stdout_cap_hit": true, "stderr_cap_hit": true, "duration_approaching_cap": true,
	"stdout_approaching_cap": true, "stderr_approaching_cap": true, "lease_expired": true,
	"peer_disconnected": true, "cancelled": true,
}

// Reasons for denials that x0x writes.
var denialReasons = map[string]bool{
	"exec_disabled": true, "unverified_sender": true, "trust_rejected": true,
	"agent_machine_not_in_acl": true, "argv_not_allowed": true, "stdin_too_large": true,
	"timeout_too_large": true, "cwd_not_allowed": true, "concurrency_limit_reached": true,
	"shell_metachar_in_argv": true, "spawn_failed": true, "malformed_frame": true,
}

func (*Request) Name() string { return "request" }

func (*Started) Name() string { return "started" }

func (*Warning) Name() string { return "warning" }

func (*Exit) Name() string { return "exit" }

func (*Denial) Name() string { return "denial" }

func (e *Application) Name() string { return e.EventName }

func (e *Unknown) Name() string { return e.EventName }

func (e *Request) Time() uint64 { return e.TSUnixMS }

func (e *Started) Time() uint64 { return e.TSUnixMS }

func (e *Warning) Time() uint64 { return e.TSUnixMS }

func (e *Exit) Time() uint64 { return e.TSUnixMS }

func (e *Denial) Time() uint64 { return e.TSUnixMS }

func (e *Application) Time() uint64 { return e.TSUnixMS }

func (e *Unknown) Time() uint64 { return e.TSUnixMS }
