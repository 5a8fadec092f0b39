package event

// The five events of an execution, as x0x's ExecAudit writes them. Clients may
// append them.

var executionKinds = []kind{
	{make: func(ts uint64) Event { return &Request{TSUnixMS: ts} }},
	{make: func(ts uint64) Event { return &Started{TSUnixMS: ts} }},
	{make: func(ts uint64) Event { return &Exit{TSUnixMS: ts} }},
	{make: func(ts uint64) Event { return &Warning{TSUnixMS: ts} }},
	{make: func(ts uint64) Event { return &Denial{TSUnixMS: ts} }},
}

// Request says that an execution was asked for.
type Request struct {
	TSUnixMS   uint64
	RequestID  RequestID
	AgentID    PartyID
	MachineID  PartyID
	Argv       []string
	MatchedACL *string // the rule that let it through, nil if none
	StdinBytes uint64
	TimeoutMS  uint32 // 0: none
}

// Name is the line's "event".
func (*Request) Name() string { return "request" }

// Time is the line's "ts_unix_ms".
func (e *Request) Time() uint64 { return e.TSUnixMS }

func (e *Request) fields(c codec) codec {
	c.requestID("request_id", &e.RequestID)
	c.partyID("agent_id", &e.AgentID)
	c.partyID("machine_id", &e.MachineID)
	c.texts("argv", &e.Argv)
	c.optionalText("matched_acl", &e.MatchedACL)
	c.uint64("stdin_bytes", &e.StdinBytes)
	c.uint32("timeout_ms", &e.TimeoutMS)
	return c
}

// Started says that the process runs.
type Started struct {
	TSUnixMS  uint64
	RequestID RequestID
	PID       uint32
}

// Name is the line's "event".
func (*Started) Name() string { return "started" }

// Time is the line's "ts_unix_ms".
func (e *Started) Time() uint64 { return e.TSUnixMS }

func (e *Started) fields(c codec) codec {
	c.requestID("request_id", &e.RequestID)
	c.uint32("pid", &e.PID)
	return c
}

// Warning reports a limit that was reached or came near.
type Warning struct {
	TSUnixMS  uint64
	RequestID RequestID
	Kind      string
	Bytes     *uint64
}

var warningKinds = vocabulary{
	what: "a kind of warning; see docs/formats.md",
	words: []string{
		"stdout_cap_hit", "stderr_cap_hit", "duration_approaching_cap", "stdout_approaching_cap",
		"stderr_approaching_cap", "lease_expired", "peer_disconnected", "cancelled",
	},
}

// Name is the line's "event".
func (*Warning) Name() string { return "warning" }

// Time is the line's "ts_unix_ms".
func (e *Warning) Time() uint64 { return e.TSUnixMS }

func (e *Warning) fields(c codec) codec {
	c.requestID("request_id", &e.RequestID)
	c.word("kind", &e.Kind, &warningKinds)
	c.optionalUint64("bytes", &e.Bytes)
	return c
}

// Exit reports how the process ended.
type Exit struct {
	TSUnixMS    uint64
	RequestID   RequestID
	Code        *int32 // nil if a signal ended it
	Signal      *int32
	DurationMS  uint64
	StdoutBytes uint64
	StderrBytes uint64
	Truncated   bool
}

// Name is the line's "event".
func (*Exit) Name() string { return "exit" }

// Time is the line's "ts_unix_ms".
func (e *Exit) Time() uint64 { return e.TSUnixMS }

func (e *Exit) fields(c codec) codec {
	c.requestID("request_id", &e.RequestID)
	c.optionalInt32("code", &e.Code)
	c.optionalInt32("signal", &e.Signal)
	c.uint64("duration_ms", &e.DurationMS)
	c.uint64("stdout_bytes", &e.StdoutBytes)
	c.uint64("stderr_bytes", &e.StderrBytes)
	c.bool("truncated", &e.Truncated)
	return c
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

var denialReasons = vocabulary{
	what: "a reason for a denial; see docs/formats.md",
	words: []string{
		"exec_disabled", "unverified_sender", "trust_rejected", "agent_machine_not_in_acl",
		"argv_not_allowed", "stdin_too_large", "timeout_too_large", "cwd_not_allowed",
		"concurrency_limit_reached", "shell_metachar_in_argv", "spawn_failed", "malformed_frame",
	},
}

// Name is the line's "event".
func (*Denial) Name() string { return "denial" }

// Time is the line's "ts_unix_ms".
func (e *Denial) Time() uint64 { return e.TSUnixMS }

func (e *Denial) fields(c codec) codec {
	c.requestID("request_id", &e.RequestID)
	c.partyID("agent_id", &e.AgentID)
	c.partyID("machine_id", &e.MachineID)
	c.texts("argv", &e.Argv)
	c.word("reason", &e.Reason, &denialReasons)
	return c
}
