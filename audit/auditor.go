package audit

import (
	"context"
	"time"

	"auditmesh/audit/event"
)

// Auditor writes the five events of x0x's remote exec to a log, with the calls
// of its ExecAudit. Without a log, auditing is disabled and every call is a
// cheap no-op that succeeds.
//
// Each call returns nil only after the record is durable. What a failure means
// for the execution is the caller's to decide: the auditor reports, and counts.
type Auditor struct {
	log      *Log
	tasklist string
	now      func() time.Time
}

// NewAuditor writes to log; nil disables auditing. tasklist is the id under
// which the mesh shares the log, or empty.
func NewAuditor(log *Log, tasklist string) *Auditor {
	a := &Auditor{log: log, tasklist: tasklist, now: time.Now}
	if log != nil {
		a.now = log.opts.Now
	}
	return a
}

// TasklistID is the tasklist id that the log is shared under, false if none.
func (a *Auditor) TasklistID() (string, bool) { return a.tasklist, a.tasklist != "" }

// WriteFailures counts the writes of the log that failed (audit_write_failures).
func (a *Auditor) WriteFailures() uint64 {
	if a.log == nil {
		return 0
	}
	return a.log.WriteFailures()
}

func (a *Auditor) ms() uint64 { return uint64(a.now().UnixMilli()) }

func (a *Auditor) append(ctx context.Context, e event.Event) error {
	_, err := a.log.Append(ctx, e)
	return err
}

// Request records that an execution was asked for. timeout is in milliseconds.
func (a *Auditor) Request(ctx context.Context, id event.RequestID, agent, machine event.PartyID, argv []string, matchedACL *string, stdinBytes uint64, timeoutMS uint32) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &event.Request{TSUnixMS: a.ms(), RequestID: id, AgentID: agent, MachineID: machine, Argv: argv, MatchedACL: matchedACL, StdinBytes: stdinBytes, TimeoutMS: timeoutMS})
}

// Started records that the process runs.
func (a *Auditor) Started(ctx context.Context, id event.RequestID, pid uint32) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &event.Started{TSUnixMS: a.ms(), RequestID: id, PID: pid})
}

// Warning records a limit that was reached or came near.
func (a *Auditor) Warning(ctx context.Context, id event.RequestID, kind string, bytes *uint64) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &event.Warning{TSUnixMS: a.ms(), RequestID: id, Kind: kind, Bytes: bytes})
}

// Exit records how the process ended.
func (a *Auditor) Exit(ctx context.Context, id event.RequestID, code, signal *int32, duration time.Duration, stdoutBytes, stderrBytes uint64, truncated bool) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &event.Exit{TSUnixMS: a.ms(), RequestID: id, Code: code, Signal: signal, DurationMS: uint64(max(duration, 0).Milliseconds()), StdoutBytes: stdoutBytes, StderrBytes: stderrBytes, Truncated: truncated})
}

// Denial records that an execution was refused.
func (a *Auditor) Denial(ctx context.Context, id event.RequestID, agent, machine event.PartyID, argv []string, reason string) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &event.Denial{TSUnixMS: a.ms(), RequestID: id, AgentID: agent, MachineID: machine, Argv: argv, Reason: reason})
}
