package node

import (
	"path/filepath"

	"auditmesh/audit/event"
	"auditmesh/internal/api"
)

// Config is a node's configuration. Absent keys mean defaults, so the empty one
// runs. audit_log_path and audit_tasklist_id are x0x's, and mean what they do there.
// settings.go has each key with what it means; check.go what is refused.
type Config struct {
	DataDir string `json:"data_dir"`

	// AuditLogPath is the log's active file, relative to the data directory.
	// Empty disables auditing; absent is "log/audit.jsonl".
	AuditLogPath *string `json:"audit_log_path"`
	// AuditFollowPath is a JSONL file that another program writes, relative to the
	// data directory, whose lines are copied into the log. Empty: none.
	AuditFollowPath string `json:"audit_follow_path"`
	// SegmentBytes and SegmentAge say when a segment of the log is sealed and the
	// next begun. Absent: at 128 MiB, and never for its age ("24h").
	SegmentBytes int64    `json:"segment_bytes"`
	SegmentAge   Duration `json:"segment_age"`
	// Retain says how much of the own log is kept, and RetainCopies how much of
	// each copy of another node's. Absent: all of it.
	Retain       Retention `json:"retain"`
	RetainCopies Retention `json:"retain_copies"`
	// MinFreeBytes is the floor of free space on the log's disk beneath which
	// health, metrics and a record say so. Absent: 256 MiB. 0: nobody looks.
	MinFreeBytes int64 `json:"min_free_bytes"`
	// MaxArgvBytes bounds the arguments of an event that is appended, together.
	// Absent or 0: only the bound of a line does, 1 MiB.
	MaxArgvBytes int64 `json:"max_argv_bytes"`
	// AuditTasklistID joins the mesh of that tasklist. Empty: no network.
	AuditTasklistID string `json:"audit_tasklist_id"`
	// AgentID is the agent that `exec` acts for: 64 lower-case hex digits.
	// Empty: the node itself.
	AgentID string `json:"agent_id"`
	// Listen are multiaddrs. Absent: loopback, any free port. Empty: none, the node
	// only dials.
	Listen []string `json:"listen"`
	// Bootstrap are members' multiaddrs, each with /p2p/<peer id> at its end.
	Bootstrap []string `json:"bootstrap"`
	// Members are the peer ids that may connect. This node is one without being
	// named.
	Members []string `json:"members"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `json:"log_level"`
}

// Retention is segment.Retention. Zero limits nothing.
type Retention struct {
	Segments int64    `json:"segments"`
	Bytes    int64    `json:"bytes"`
	Age      Duration `json:"age"`
}

const (
	configName     = "config.toml"
	defaultLogPath = "log/audit.jsonl"
	defaultMinFree = 256 << 20
	defaultSegment = 128 << 20
)

// DefaultConfig is what an empty file means.
func DefaultConfig(dataDir string) Config {
	path := defaultLogPath
	return Config{
		DataDir: dataDir, AuditLogPath: &path, SegmentBytes: defaultSegment, MinFreeBytes: defaultMinFree, LogLevel: "info",
		Listen: []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}, Bootstrap: []string{}, Members: []string{},
	}
}

// FollowPath is the file that is followed, empty if none is.
func (c Config) FollowPath() string { return c.inDataDir(c.AuditFollowPath) }

func (c Config) inDataDir(path string) string {
	switch {
	case path == "":
		return ""
	case filepath.IsAbs(path):
		return filepath.Clean(path)
	}
	return filepath.Join(c.DataDir, path)
}

// LogPath is the log's active file, empty if auditing is disabled.
func (c Config) LogPath() string {
	if c.AuditLogPath == nil {
		return c.inDataDir(defaultLogPath)
	}
	return c.inDataDir(*c.AuditLogPath)
}

// The other files of a data directory.

func (c Config) followedPath() string     { return filepath.Join(c.stateDir(), "followed.json") }
func (c Config) stateDir() string         { return filepath.Join(c.DataDir, "state") }
func (c Config) identityPath() string     { return filepath.Join(c.DataDir, "identity.key") }
func (c Config) newKeyPath() string       { return c.identityPath() + ".new" }
func (c Config) copiesDir() string        { return filepath.Join(c.DataDir, "copies") }
func (c Config) identityLockPath() string { return filepath.Join(c.DataDir, "identity.lock") }
func (c Config) viewDir() string          { return filepath.Join(c.DataDir, "view") }
func (c Config) evidenceDir() string      { return filepath.Join(c.DataDir, "evidence") }

// SignedPath is the file of the last-signed state.
func (c Config) SignedPath() string { return filepath.Join(c.stateDir(), "last-signed.json") }

// SocketPath is where a running node serves its API.
func (c Config) SocketPath() string { return filepath.Join(c.DataDir, api.SocketName) }

// CopiesDir is where the copies of other nodes' logs stand.
func (c Config) CopiesDir() string { return c.copiesDir() }

// Party is the agent that `exec` acts for on the node with that machine id.
func (c Config) Party(machine event.PartyID) event.PartyID {
	if id, err := event.ParsePartyID(c.AgentID); err == nil {
		return id
	}
	return machine
}
