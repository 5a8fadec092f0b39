package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"auditmesh/audit/event"
)

// Config is a node's configuration. Absent keys mean defaults, so the empty one
// runs. audit_log_path and audit_tasklist_id are x0x's, and mean what they do there.
type Config struct {
	DataDir string `toml:"-" json:"data_dir"`

	// AuditLogPath is the log's active file, relative to the data directory.
	// Empty disables auditing; absent is "log/audit.jsonl".
	AuditLogPath *string `toml:"audit_log_path" json:"audit_log_path"`
	// AuditFollowPath is a JSONL file that another program writes, relative to the
	// data directory, whose lines are copied into the log. Empty: none.
	AuditFollowPath string `toml:"audit_follow_path" json:"audit_follow_path"`
	// SegmentBytes and SegmentAge say when a segment of the log is sealed and the
	// next begun. Absent: at 128 MiB, and never for its age ("24h").
	SegmentBytes int64    `toml:"segment_bytes" json:"segment_bytes"`
	SegmentAge   Duration `toml:"segment_age" json:"segment_age"`
	// Retain says how much of the own log is kept, and RetainCopies how much of
	// each copy of another node's. Absent: all of it.
	Retain       Retention `toml:"retain" json:"retain"`
	RetainCopies Retention `toml:"retain_copies" json:"retain_copies"`
	// MinFreeBytes is the floor of free space on the log's disk beneath which
	// health, metrics and a record say so. Absent: 256 MiB. 0: nobody looks.
	MinFreeBytes int64 `toml:"min_free_bytes" json:"min_free_bytes"`
	// MaxArgvBytes bounds the arguments of an event that is appended, together.
	// Absent or 0: only the bound of a line does, 1 MiB.
	MaxArgvBytes int `toml:"max_argv_bytes" json:"max_argv_bytes"`
	// AuditTasklistID joins the mesh of that tasklist. Empty: no network.
	AuditTasklistID string `toml:"audit_tasklist_id" json:"audit_tasklist_id"`
	// AgentID is the agent that `exec` acts for: 64 lower-case hex digits.
	// Empty: the node itself.
	AgentID string `toml:"agent_id" json:"agent_id"`
	// Listen are multiaddrs. Absent: loopback, any free port.
	Listen []string `toml:"listen" json:"listen"`
	// Bootstrap are members' multiaddrs, each with /p2p/<peer id> at its end.
	Bootstrap []string `toml:"bootstrap" json:"bootstrap"`
	// Members are the peer ids that may connect. This node is one without being
	// named.
	Members []string `toml:"members" json:"members"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `toml:"log_level" json:"log_level"`
}

// Retention is audit.Retention. Zero limits nothing.
type Retention struct {
	Segments int      `toml:"segments" json:"segments"`
	Bytes    int64    `toml:"bytes" json:"bytes"`
	Age      Duration `toml:"age" json:"age"`
}

func (r Retention) check(name string) error {
	if r.Segments < 0 || r.Bytes < 0 {
		return fmt.Errorf("%s: a limit is not negative; 0 is none", name)
	}
	return nil
}

// Duration is a time.Duration, in its own text form: "90s", "24h".
type Duration time.Duration

// MarshalText is that of encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText is that of encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err == nil && v < 0 {
		err = errors.New("a duration is not negative")
	}
	*d = Duration(v)
	return err
}

const (
	configName     = "config.toml"
	defaultLogPath = "log/audit.jsonl"
	defaultMinFree = 256 << 20
)

// LoadConfig reads the configuration of a data directory: the file at path, or
// config.toml in the directory if path is empty; that one may be absent.
func LoadConfig(dataDir, path string) (Config, error) {
	given := path != ""
	if !given {
		path = filepath.Join(dataDir, configName)
	}
	c := Config{MinFreeBytes: defaultMinFree}
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !given:
	case err != nil:
		return c, fmt.Errorf("configuration: %w", err)
	default:
		dec := toml.NewDecoder(strings.NewReader(string(raw))).DisallowUnknownFields()
		if err := dec.Decode(&c); err != nil {
			return c, fmt.Errorf("configuration %s: %s", path, explain(err))
		}
	}
	c.DataDir = dataDir
	c.fill()
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// explain says where in the file an error is.
func explain(err error) string {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		var keys []string
		for _, e := range strict.Errors {
			row, _ := e.Position()
			keys = append(keys, fmt.Sprintf("line %d: unknown key %q", row, strings.Join(e.Key(), ".")))
		}
		return strings.Join(keys, "; ") + "; `auditmesh config check --help` lists the keys"
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		row, column := decode.Position()
		return fmt.Sprintf("line %d, column %d: %v", row, column, err)
	}
	return err.Error()
}

func (c *Config) fill() {
	if c.AuditLogPath == nil {
		path := defaultLogPath
		c.AuditLogPath = &path
	}
	if len(c.Listen) == 0 {
		c.Listen = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 128 << 20
	}
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
}

// Check says what is wrong with a configuration, beyond what the mesh checks.
func (c Config) Check() error {
	if c.AgentID != "" {
		if _, err := event.ParsePartyID(c.AgentID); err != nil {
			return fmt.Errorf("agent_id: %w", err)
		}
	}
	if c.AuditTasklistID == "" && (len(c.Bootstrap) > 0 || len(c.Members) > 0) {
		return errors.New("members or bootstrap are given without audit_tasklist_id: name the tasklist, without which no network is opened")
	}
	if c.SegmentBytes < 64<<10 {
		return fmt.Errorf("segment_bytes: %d is less than %d: a segment is to hold some records", c.SegmentBytes, 64<<10)
	}
	if c.MaxArgvBytes < 0 {
		return errors.New("max_argv_bytes: a limit is not negative; 0 is none but a line's own")
	}
	if c.MinFreeBytes < 0 {
		return errors.New("min_free_bytes: less than nothing cannot be free; 0 looks at nothing")
	}
	if err := errors.Join(c.Retain.check("retain"), c.RetainCopies.check("retain_copies")); err != nil {
		return err
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("log_level: %q is not debug, info, warn or error", c.LogLevel)
	}
	if path := *c.AuditLogPath; path != "" && filepath.Clean(filepath.Dir(c.LogPath())) == filepath.Clean(c.stateDir()) {
		return errors.New("audit_log_path: the log must not stand in the directory of the last-signed state, which tells when the log was put back from a backup")
	}
	return c.checkFollow()
}

func (c Config) checkFollow() error {
	follow := c.FollowPath()
	if follow == "" {
		return nil
	}
	if c.LogPath() == "" {
		return errors.New("audit_follow_path: auditing is disabled, there is no log to copy into; give audit_log_path")
	}
	if filepath.Dir(follow) == filepath.Dir(c.LogPath()) && strings.HasPrefix(filepath.Base(follow), strings.TrimSuffix(filepath.Base(c.LogPath()), ".jsonl")) {
		return fmt.Errorf("audit_follow_path: %s is of this node's own log; name the file that the other program writes", follow)
	}
	return nil
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
	return c.inDataDir(*c.AuditLogPath)
}

// The other files of a data directory.

func (c Config) followedPath() string { return filepath.Join(c.stateDir(), "followed.json") }
func (c Config) stateDir() string     { return filepath.Join(c.DataDir, "state") }
func (c Config) identityPath() string { return filepath.Join(c.DataDir, "identity.key") }
func (c Config) copiesDir() string    { return filepath.Join(c.DataDir, "copies") }
func (c Config) viewDir() string      { return filepath.Join(c.DataDir, "view") }
func (c Config) evidenceDir() string  { return filepath.Join(c.DataDir, "evidence") }

// SignedPath is the file of the last-signed state.
func (c Config) SignedPath() string { return filepath.Join(c.stateDir(), "last-signed.json") }

// SocketPath is where a running node serves its API.
func (c Config) SocketPath() string { return filepath.Join(c.DataDir, "api.sock") }

// CopiesDir is where the copies of other nodes' logs stand.
func (c Config) CopiesDir() string { return c.copiesDir() }

// Party is the agent that `exec` acts for on the node with that machine id.
func (c Config) Party(machine event.PartyID) event.PartyID {
	if id, err := event.ParsePartyID(c.AgentID); err == nil {
		return id
	}
	return machine
}
