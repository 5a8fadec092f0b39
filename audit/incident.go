package audit

import (
	"context"

	"auditmesh/audit/event"
)

// incidentLocked is the record that is owed of the failure under way.
func (l *Log) incidentLocked() *event.LogWriteFailed {
	if l.incident == nil {
		l.incident = &event.LogWriteFailed{Since: l.ms()}
	}
	return l.incident
}

// failedLocked counts one more failure of the incident under way.
func (l *Log) failedLocked(err error) {
	e := l.incidentLocked()
	e.Failures++
	e.Error = err.Error()
}

func (l *Log) ms() uint64 { return uint64(l.opts.Now().UnixMilli()) }

// record appends what is owed to the log: the failure that it has recovered
// from, and that space is low. What cannot be appended stays owed.
func (l *Log) record(ctx context.Context) {
	l.mu.Lock()
	if l.failed != nil {
		l.mu.Unlock()
		return
	}
	failed := l.incident
	l.incident = nil
	l.mu.Unlock()
	if failed != nil {
		failed.TSUnixMS = l.ms()
		if _, err := l.Append(ctx, failed); err != nil {
			l.mu.Lock()
			if later := l.incident; later != nil { // it failed again just now
				failed.Failures += later.Failures
				failed.InDoubt += later.InDoubt
				failed.Refused += later.Refused
				failed.Error = later.Error
			}
			l.incident = failed
			l.mu.Unlock()
			return
		}
	}
	if !l.space.owed.Load() {
		return
	}
	low := &event.DiskSpaceLow{TSUnixMS: l.ms(), Free: l.space.free.Load(), Floor: uint64(l.opts.MinFree)}
	if _, err := l.Append(ctx, low); err == nil {
		l.space.owed.Store(false)
	}
}
