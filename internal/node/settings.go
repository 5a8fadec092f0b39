package node

import (
	"cmp"
	"fmt"
	"strings"
)

// setting is one key of config.toml: how it is written, what it means, and what it
// comes to. `config check` and its help show nothing else, so a key that is not
// here does not exist.
type setting struct {
	key     string
	byDeflt string // as it is written
	about   string
	set     func(*Config, any) error
	words   func(Config) string // the effective value
}

// tables are the tables of the file.
var tables = []string{"retain", "retain_copies"}

var settings = append([]setting{
	{"audit_log_path", `"log/audit.jsonl"`, `the log; relative to the data directory; "" disables auditing`,
		text(func(c *Config) *string { c.AuditLogPath = new(string); return c.AuditLogPath }),
		func(c Config) string { return orElse(c.LogPath(), "auditing is disabled") }},
	{"audit_follow_path", `""`, "a JSONL file that another program writes, copied into the log",
		text(func(c *Config) *string { return &c.AuditFollowPath }),
		func(c Config) string { return orElse(c.FollowPath(), "no file is followed") }},
	{"segment_bytes", "134217728", "bytes at which a segment of the log is sealed",
		number(func(c *Config) *int64 { return &c.SegmentBytes }),
		func(c Config) string { return "a segment is sealed at " + bytesWords(c.SegmentBytes) }},
	{"segment_age", `"0s"`, `age at which it is, such as "24h" or "7d"; "0s": only for its size`,
		duration(func(c *Config) *Duration { return &c.SegmentAge }),
		func(c Config) string {
			if c.SegmentAge.IsZero() {
				return "a segment is never sealed for its age"
			}
			return "a segment is sealed after " + c.SegmentAge.Words()
		}},
	{"min_free_bytes", "268435456", "free space on the log's disk beneath which it warns; 0 does not look",
		number(func(c *Config) *int64 { return &c.MinFreeBytes }),
		func(c Config) string {
			if c.MinFreeBytes == 0 {
				return "nobody looks at the free space"
			}
			return "warns when less than " + bytesWords(c.MinFreeBytes) + " are free on the log's disk"
		}},
	{"max_argv_bytes", "0", "bound of an event's arguments together; 0: a line's own, 1 MiB",
		number(func(c *Config) *int64 { return &c.MaxArgvBytes }),
		func(c Config) string {
			return "the arguments of one event have at most " + bytesWords(cmp.Or(c.MaxArgvBytes, maxLine)) + " together"
		}},
	{"audit_tasklist_id", `""`, `the shared view to take part in; "" opens no network`,
		text(func(c *Config) *string { return &c.AuditTasklistID }),
		func(c Config) string { return orElse(c.AuditTasklistID, "none: no network is opened") }},
	{"agent_id", `""`, `64 hex digits: who exec acts for; "" is the node itself`,
		text(func(c *Config) *string { return &c.AgentID }),
		func(c Config) string { return orElse(c.AgentID, "exec acts for the node itself") }},
	{"listen", `["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"]`, "where members connect; []: nowhere, the node dials",
		texts(func(c *Config) *[]string { return &c.Listen }),
		func(c Config) string { return orElse(strings.Join(c.Listen, " "), "nowhere: the node only dials") }},
	{"bootstrap", "[]", "members' addresses, each with /p2p/<peer id>",
		texts(func(c *Config) *[]string { return &c.Bootstrap }),
		func(c Config) string { return orElse(strings.Join(c.Bootstrap, " "), "nobody is dialled first") }},
	{"members", "[]", "peer ids that may connect",
		texts(func(c *Config) *[]string { return &c.Members }),
		func(c Config) string { return orElse(strings.Join(c.Members, " "), "nobody but this node") }},
	{"log_level", `"info"`, "debug, info, warn or error: the node's own messages",
		text(func(c *Config) *string { return &c.LogLevel }),
		func(c Config) string { return "messages of level " + c.LogLevel + " and above" }},
}, append(
	retention("retain", "the own log", func(c *Config) *Retention { return &c.Retain }),
	retention("retain_copies", "each copy of another node's log", func(c *Config) *Retention { return &c.RetainCopies })...)...)

// retention are the keys of one table.
func retention(table, what string, of func(*Config) *Retention) []setting {
	kept := func(limit string) string { return limit + " of " + what }
	return []setting{
		{table + ".segments", "0", kept("segments") + " that are kept, the one that is written included; 0: all",
			number(func(c *Config) *int64 { return &of(c).Segments }),
			func(c Config) string {
				if n := of(&c).Segments; n > 0 {
					return fmt.Sprintf("the newest %d segments of %s are kept, %s at most", n, what, bytesWords(n*c.SegmentBytes))
				}
				return "any number of " + kept("segments")
			}},
		{table + ".bytes", "0", kept("bytes") + " that are kept; 0: all",
			number(func(c *Config) *int64 { return &of(c).Bytes }),
			func(c Config) string {
				if n := of(&c).Bytes; n > 0 {
					return "at most " + kept(bytesWords(n)) + " are kept"
				}
				return "any number of " + kept("bytes")
			}},
		{table + ".age", `"0s"`, `time since a segment's last record after which it is removed, such as "90d"; "0s": never`,
			duration(func(c *Config) *Duration { return &of(c).Age }),
			func(c Config) string {
				age := of(&c).Age
				switch {
				case age.IsZero():
					return "records of " + what + " are kept however old they are"
				case c.SegmentAge.IsZero():
					return fmt.Sprintf("records of %s are removed %s after their segment was sealed, which is only for its size", what, age.Words())
				}
				return fmt.Sprintf("records of %s are removed between %s and %s after they were written", what, age.Words(), Lasting(age.Std()+c.SegmentAge.Std()).Words())
			}},
	}
}

// Explanation is a setting for people.
type Explanation struct {
	Key     string `json:"key"`
	Default string `json:"default"` // as it is written
	About   string `json:"about"`
	Words   string `json:"words"` // what it comes to
}

// Explain says what each setting means, in the order of the help.
func (c Config) Explain() []Explanation {
	list := make([]Explanation, len(settings))
	for i, s := range settings {
		list[i] = Explanation{s.key, s.byDeflt, s.about, s.words(c)}
	}
	return list
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// bytesWords is a number of bytes for people, exact where it is a whole number of
// a unit.
func bytesWords(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for ; v >= 1024 && i+1 < len(units); i++ {
		v /= 1024
	}
	if v == float64(int64(v)) {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
