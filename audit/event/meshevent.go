package event

// FollowBytes is a line of a followed file that is not taken as it is: one with a
// NUL byte, which recovery takes for the mark of a power cut, or one that would
// speak for this node, as only the node itself may.
type FollowBytes struct {
	TSUnixMS uint64
	Path     string
	Offset   uint64
	Line     []byte // base64 in the record
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
func (*FollowBytes) Name() string { return "follow_bytes" }

// Name is the line's "event".
func (*FollowGap) Name() string { return "follow_gap" }

// Time is the line's "ts_unix_ms".
func (e *FollowBytes) Time() uint64 { return e.TSUnixMS }

// Time is the line's "ts_unix_ms".
func (e *FollowGap) Time() uint64 { return e.TSUnixMS }

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

// The mesh's own events. Only a node itself writes them; they are records of
// its log like any other, so that all shared state comes from logs.

// Dot names one record of one log, as the mesh's events write it.
type Dot struct {
	Node string  `json:"node"`
	Log  PartyID `json:"log"`
	Seq  uint64  `json:"seq"`
}

// SeqRange is the half-open range [First, End) of one of the writer's own logs.
type SeqRange struct {
	Log   PartyID `json:"log"`
	First uint64  `json:"first"`
	End   uint64  `json:"end"`
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

// Reviewed is task_claimed or task_completed: review of a task of any node.
type Reviewed struct {
	Completed bool
	TSUnixMS  uint64
	Node      string
	RequestID RequestID
	By        string
}

// TaskReleased takes back the claims and completions that it names.
type TaskReleased struct {
	TSUnixMS  uint64
	Node      string
	RequestID RequestID
	By        string
	Replaces  []Dot
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

// LogSucceeded says that this log goes on where the node's older one ended.
type LogSucceeded struct {
	TSUnixMS uint64
	Log      PartyID
	Size     uint64
	Root     PartyID
	Reason   string
}

var registerFields = map[string]bool{"note": true, "priority": true, "assignee": true}

func (*TaskRemoved) Name() string { return "task_removed" }

func (e *Reviewed) Name() string {
	if e.Completed {
		return "task_completed"
	}
	return "task_claimed"
}

func (*TaskReleased) Name() string { return "task_released" }

func (*TaskNoted) Name() string { return "task_noted" }

func (*LogSucceeded) Name() string { return "log_succeeded" }

func (e *TaskRemoved) Time() uint64 { return e.TSUnixMS }

func (e *Reviewed) Time() uint64 { return e.TSUnixMS }

func (e *TaskReleased) Time() uint64 { return e.TSUnixMS }

func (e *TaskNoted) Time() uint64 { return e.TSUnixMS }

func (e *LogSucceeded) Time() uint64 { return e.TSUnixMS }

// ByNode says whether only the node itself may write events of a name.
func ByNode(name string) bool { return meshEvents[name] }

// meshEvents are the names that only the node itself may write.
var meshEvents = map[string]bool{
	"task_removed": true, "task_claimed": true, "task_completed": true,
	"task_released": true, "task_noted": true, "log_succeeded": true,
	"log_write_failed": true, "disk_space_low": true,
	"follow_bytes": true, "follow_gap": true,
}
