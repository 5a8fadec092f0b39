package audit

import "context"

// Incidents: what happened to the log is said in the log itself, once it can be
// written again. Run records them; the mesh sees them like any record.

// LogWriteFailed says that the log could not be written for a time.
type LogWriteFailed struct {
	TSUnixMS uint64
	Since    uint64 // of the first failure, milliseconds since 1970
	Failures uint64 // writes, syncs and attempts to recover that failed
	InDoubt  uint64 // events that were in doubt
	Refused  uint64 // events that were refused meanwhile
	Error    string // the last one
}

// DiskSpaceLow says that the file system of the log has less free than the
// configured floor.
type DiskSpaceLow struct {
	TSUnixMS uint64
	Free     uint64 // bytes
	Floor    uint64 // bytes
}

// Name is the line's "event".
func (*LogWriteFailed) Name() string { return "log_write_failed" }

// Name is the line's "event".
func (*DiskSpaceLow) Name() string { return "disk_space_low" }

// Time is the line's "ts_unix_ms".
func (e *LogWriteFailed) Time() uint64 { return e.TSUnixMS }

// Time is the line's "ts_unix_ms".
func (e *DiskSpaceLow) Time() uint64 { return e.TSUnixMS }

func (e *LogWriteFailed) check() error { return checkText("error", e.Error) }
func (*DiskSpaceLow) check() error     { return nil }

func (e *LogWriteFailed) appendFields(dst []byte) []byte {
	dst = appendUint(dst, "since_unix_ms", e.Since)
	dst = appendUint(dst, "failures", e.Failures)
	dst = appendUint(dst, "in_doubt", e.InDoubt)
	dst = appendUint(dst, "refused", e.Refused)
	return appendField(dst, "error", e.Error)
}

func (e *DiskSpaceLow) appendFields(dst []byte) []byte {
	return appendUint(appendUint(dst, "free_bytes", e.Free), "floor_bytes", e.Floor)
}

// incidentLocked is the record that is owed of the failure under way.
func (l *Log) incidentLocked() *LogWriteFailed {
	if l.incident == nil {
		l.incident = &LogWriteFailed{Since: l.ms()}
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
	low := &DiskSpaceLow{l.ms(), l.space.free.Load(), uint64(l.opts.MinFree)}
	if _, err := l.Append(ctx, low); err == nil {
		l.space.owed.Store(false)
	}
}
