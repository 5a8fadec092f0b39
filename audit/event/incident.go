package event

// What happened to a log is said in the log itself, once it can be written. Only
// the node writes these; the mesh sees them like any record.

var incidentKinds = []kind{
	{byNode: true, make: func(ts uint64) Event { return &LogSucceeded{TSUnixMS: ts} }},
	{byNode: true, make: func(ts uint64) Event { return &LogWriteFailed{TSUnixMS: ts} }},
	{byNode: true, make: func(ts uint64) Event { return &DiskSpaceLow{TSUnixMS: ts} }},
	{byNode: true, make: func(ts uint64) Event { return &FollowBytes{TSUnixMS: ts} }},
	{byNode: true, make: func(ts uint64) Event { return &FollowGap{TSUnixMS: ts} }},
}

// LogSucceeded says that this log goes on where the node's older one ended.
type LogSucceeded struct {
	TSUnixMS uint64
	Log      PartyID // the older one's id
	Size     uint64
	Root     PartyID
	Reason   string
}

// Name is the line's "event".
func (*LogSucceeded) Name() string { return "log_succeeded" }

// Time is the line's "ts_unix_ms".
func (e *LogSucceeded) Time() uint64 { return e.TSUnixMS }

func (e *LogSucceeded) fields(c codec) codec {
	c.partyID("log", &e.Log)
	c.uint64("size", &e.Size)
	c.partyID("root", &e.Root)
	c.text("reason", &e.Reason)
	return c
}

// LogWriteFailed says that the log could not be written for a time.
type LogWriteFailed struct {
	TSUnixMS uint64
	Since    uint64 // of the first failure, milliseconds since 1970
	Failures uint64 // writes, syncs and attempts to recover that failed
	InDoubt  uint64 // events that were in doubt
	Refused  uint64 // events that were refused meanwhile
	Error    string // the last one
}

// Name is the line's "event".
func (*LogWriteFailed) Name() string { return "log_write_failed" }

// Time is the line's "ts_unix_ms".
func (e *LogWriteFailed) Time() uint64 { return e.TSUnixMS }

func (e *LogWriteFailed) fields(c codec) codec {
	c.uint64("since_unix_ms", &e.Since)
	c.uint64("failures", &e.Failures)
	c.uint64("in_doubt", &e.InDoubt)
	c.uint64("refused", &e.Refused)
	c.text("error", &e.Error)
	return c
}

// DiskSpaceLow says that the file system of the log has less free than the
// configured floor.
type DiskSpaceLow struct {
	TSUnixMS uint64
	Free     uint64 // bytes
	Floor    uint64 // bytes
}

// Name is the line's "event".
func (*DiskSpaceLow) Name() string { return "disk_space_low" }

// Time is the line's "ts_unix_ms".
func (e *DiskSpaceLow) Time() uint64 { return e.TSUnixMS }

func (e *DiskSpaceLow) fields(c codec) codec {
	c.uint64("free_bytes", &e.Free)
	c.uint64("floor_bytes", &e.Floor)
	return c
}

// FollowBytes is a line of a followed file that is not taken as it is: one with a
// NUL byte, which recovery takes for the mark of a power cut, or one that would
// speak for this node, as only the node itself may.
type FollowBytes struct {
	TSUnixMS uint64
	Path     string
	Offset   uint64
	Line     []byte
}

// Name is the line's "event".
func (*FollowBytes) Name() string { return "follow_bytes" }

// Time is the line's "ts_unix_ms".
func (e *FollowBytes) Time() uint64 { return e.TSUnixMS }

func (e *FollowBytes) fields(c codec) codec {
	c.text("path", &e.Path)
	c.uint64("offset", &e.Offset)
	c.bytes("line", &e.Line)
	return c
}

// FollowGap says that lines of a followed file are not in the log.
type FollowGap struct {
	TSUnixMS uint64
	Path     string
	Offset   uint64 // from where on
	Bytes    uint64 // 0: nobody knows how many
	Reason   string
}

// Name is the line's "event".
func (*FollowGap) Name() string { return "follow_gap" }

// Time is the line's "ts_unix_ms".
func (e *FollowGap) Time() uint64 { return e.TSUnixMS }

func (e *FollowGap) fields(c codec) codec {
	c.text("path", &e.Path)
	c.uint64("offset", &e.Offset)
	c.uint64("bytes", &e.Bytes)
	c.text("reason", &e.Reason)
	return c
}
