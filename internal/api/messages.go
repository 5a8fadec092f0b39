package api

import (
	"time"

	"auditmesh/audit/event"
	"auditmesh/audit/follow"
	"auditmesh/mirror"
)

// Status is what /v1/status answers.
type Status struct {
	Node     string `json:"node"`
	Version  string `json:"version"`
	PID      int    `json:"pid"`
	DataDir  string `json:"data_dir"`
	Started  int64  `json:"started_unix_ms"`
	Disabled bool   `json:"disabled,omitempty"` // auditing is disabled

	// The own log. Log and Root are empty while it has no records.
	Log           string `json:"log"`
	LogPath       string `json:"log_path"`
	Size          uint64 `json:"size"`
	Signed        uint64 `json:"signed"`
	Published     uint64 `json:"published"` // given to the mesh's topic, or offered by catch-up since before; 0 without a mesh
	Root          string `json:"root"`
	State         string `json:"state"` // "ok", or why nothing can be appended
	WriteFailures uint64 `json:"audit_write_failures"`
	LastFailure   string `json:"last_failure,omitempty"`
	// What is free on the log's disk, as last looked at, in bytes; MinFreeBytes is
	// the configured floor, 0 if nobody looks.
	FreeBytes    uint64 `json:"free_bytes"`
	MinFreeBytes uint64 `json:"min_free_bytes"`
	SpaceLow     bool   `json:"space_low"`

	Follow *follow.Status `json:"follow,omitempty"` // nil: nothing is followed

	Tasklist  string            `json:"tasklist"`
	Addresses []string          `json:"addresses"`
	Digest    string            `json:"digest"`
	Holdings  string            `json:"holdings"`
	Vector    map[string]Held   `json:"vector"` // by "<peer id>/<log id>"
	Peers     int               `json:"peers"`  // connected members
	Members   int               `json:"members"`
	Counters  map[string]uint64 `json:"counters,omitempty"`
	Rebuilds  uint64            `json:"view_rebuilds"`
	Unfolded  uint64            `json:"view_unfolded"` // records that are durable here and not in the view
	Damaged   map[string]string `json:"damaged_copies,omitempty"`
	// Troubles are what else does not work, with the reasons: the view, addresses
	// of the mesh. The log goes on meanwhile.
	Troubles  map[string]string `json:"troubles,omitempty"`
	Conflicts map[string]int    `json:"conflicts,omitempty"`

	// With deep only.
	ViewHash    string  `json:"view_hash,omitempty"`
	Tasks       *uint64 `json:"tasks,omitempty"`
	FoldVersion string  `json:"fold_version,omitempty"`
}

// Held is what is held of one log. All but Size say more than the vector.
type Held struct {
	// Records before First are not held: retention removed them, here or at all
	// members that were asked. Records from Stored on, Missing of them, are what
	// nobody who has later ones offers any more.
	First      uint64 `json:"first"`
	Size       uint64 `json:"size"`   // folded into the view
	Stored     uint64 `json:"stored"` // durable here
	Missing    uint64 `json:"missing,omitempty"`
	Signed     uint64 `json:"signed"`
	Unreadable uint64 `json:"unreadable"`
	Unknown    uint64 `json:"unknown"`
	// HeldBy is how many other members, the log's own node not counted, stated to
	// hold all that is signed of the log here, when they were last in touch.
	HeldBy int `json:"held_by"`
	// LagRecords are those that are known of, here or of members, and are not in
	// the view; LagMS is how long before now the last one in the view was recorded,
	// by its node's clock, while there are any.
	LagRecords uint64 `json:"lag_records"`
	LagMS      uint64 `json:"lag_ms"`
	// LastTime is when the last record in the view was made, by its node's clock,
	// and Received when it came into the view, by this node's, both in milliseconds
	// since 1970; Received is 0 if that was before the node started.
	LastTime uint64 `json:"last_time_unix_ms"`
	Received uint64 `json:"received_unix_ms,omitempty"`
	// AheadMS is how far the greatest time in the log is ahead of this node's clock,
	// and BehindMS how long before Received the last record was made: an old record
	// that came late, or a clock that is behind. Both are 0 up to SkewAfter.
	AheadMS  uint64 `json:"ahead_ms,omitempty"`
	BehindMS uint64 `json:"behind_ms,omitempty"`
}

// Peer is one member in what /v1/peers answers.
type Peer struct {
	ID        string    `json:"id"`
	Connected bool      `json:"connected"`
	Addresses []string  `json:"addresses"`
	LastSync  time.Time `json:"last_sync,omitzero"`
	// Lacks is how many records of ours it did not hold when it last stated its
	// holdings, and Ahead how many it held that we did not.
	Lacks uint64 `json:"lacks"`
	Ahead uint64 `json:"ahead"`
	// Size is how many records of its own logs are held here.
	Size uint64 `json:"size"`
}

// Appended answers one event of an append.
type Appended struct {
	Log string `json:"log,omitempty"`
	Seq uint64 `json:"seq"`
	// Error is set instead when the event was not committed.
	Error *Refusal `json:"error,omitempty"`
}

// Refusal says why an event, or a request, was refused.
type Refusal struct { //nolint:errname // it is an answer first, and an error at the client
	Code    string `json:"code"`            // a word for programs, see errors.go
	Field   string `json:"field,omitempty"` // of the event
	Message string `json:"message"`

	stands error // for which error the code stands, at the client
}

func (r *Refusal) Error() string { return r.Message }

// Unwrap is the error of the package that refused, so that a client can compare
// it as if it had called the package itself.
func (r *Refusal) Unwrap() error { return r.stands }

// LogQuery asks for records that fit the filter, oldest first.
type LogQuery struct {
	mirror.Filter
	Limit  int // the newest ones; at most MaxRecords
	Follow bool
}

// MaxRecords is the most records that one answer begins with.
const MaxRecords = 100_000

// LogLine is one record.
type LogLine struct {
	Node string `json:"node"`
	Log  string `json:"log"`
	Seq  uint64 `json:"seq"`
	Time uint64 `json:"ts_unix_ms"`
	// Line is the record's line; LineBase64 in its place if it is not UTF-8.
	Line       string `json:"line,omitempty"`
	LineBase64 []byte `json:"line_base64,omitempty"`
	// Missed is how many records before this one retention removed before a
	// follower came to them.
	Missed uint64 `json:"missed,omitempty"`
	// AheadMS is Ahead of the record's time, by the node's clock.
	AheadMS uint64 `json:"ahead_ms,omitempty"`
	// Unavailable says, in place of the line, why a record that is in the view
	// cannot be read here.
	Unavailable string `json:"unavailable,omitempty"`
	// Error is why the records end here. It is set in a last line alone.
	Error *Refusal `json:"error,omitempty"`
}

// Review is one act of review, which /v1/review takes and records in the log of
// the node that is asked.
type Review struct {
	Action  string `json:"action"`          // claim, done, release or note
	Request string `json:"request_id"`      // or the beginning of it
	Node    string `json:"node,omitempty"`  // the task's node, where several have the request
	By      string `json:"by"`              // operator's name
	Field   string `json:"field,omitempty"` // of a note: note, priority or assignee
	Value   string `json:"value,omitempty"` // of a note
}

// Identity answers /v1/identity: who exec acts as.
type Identity struct {
	Node    string        `json:"node"`
	Machine event.PartyID `json:"machine_id"`
	Agent   event.PartyID `json:"agent_id"`
}
