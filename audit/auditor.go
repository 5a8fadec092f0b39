package audit

import (
	"context"
	"time"
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

func (a *Auditor) append(ctx context.Context, e Event) error {
	_, err := a.log.Append(ctx, e)
	return err
}

// Request records that an execution was asked for. timeout is in milliseconds.
func (a *Auditor) Request(ctx context.Context, id RequestID, agent, machine PartyID, argv []string, matchedACL *string, stdinBytes uint64, timeoutMS uint32) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &Request{a.ms(), id, agent, machine, argv, matchedACL, stdinBytes, timeoutMS})
}

// Started records that the process runs.
func (a *Auditor) Started(ctx context.Context, id RequestID, pid uint32) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &Started{a.ms(), id, pid})
}

// Warning records a limit that was reached or came near.
func (a *Auditor) Warning(ctx context.Context, id RequestID, kind string, bytes *uint64) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &Warning{a.ms(), id, kind, bytes})
}

// Exit records how the process ended.
func (a *Auditor) Exit(ctx context.Context, id RequestID, code, signal *int32, duration time.Duration, stdoutBytes, stderrBytes uint64, truncated bool) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &Exit{a.ms(), id, code, signal, uint64(max(duration, 0).Milliseconds()), stdoutBytes, stderrBytes, truncated})
}

// Denial records that an execution was refused.
func (a *Auditor) Denial(ctx context.Context, id RequestID, agent, machine PartyID, argv []string, reason string) error {
	if a.log == nil {
		return nil
	}
	return a.append(ctx, &Denial{a.ms(), id, agent, machine, argv, reason})
}
