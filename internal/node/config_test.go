package node

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Two peer ids of nobody.
const (
	memberA = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
	memberB = "12D3KooWKa7Cnw4iECDRMkgp3xgftUuV7uff6VycQcuDW9DG8iUk"
)

// load reads a configuration from text.
func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(dir, "")
}

// The empty file, and none, mean the defaults that the help shows.
func TestDefaults(t *testing.T) {
	empty, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	none, err := LoadConfig(empty.DataDir, "")
	if err != nil || !reflect.DeepEqual(empty, none) || !reflect.DeepEqual(none, DefaultConfig(empty.DataDir)) {
		t.Fatalf("%+v, %+v, %v", empty, none, err)
	}
	var written strings.Builder // the defaults as the help has them
	table := ""
	for _, e := range DefaultConfig("").Explain() {
		in, key, ok := strings.Cut(e.Key, ".")
		if !ok {
			in, key = "", e.Key
		}
		if in != table {
			table = in
			fmt.Fprintf(&written, "[%s]\n", table)
		}
		if e.Key != "listen" { // which is refused without a tasklist only if it is another one
			fmt.Fprintf(&written, "%s = %s\n", key, e.Default)
		}
	}
	got, err := load(t, written.String())
	got.DataDir = empty.DataDir
	if err != nil || !reflect.DeepEqual(got, empty) {
		t.Errorf("the help's defaults:\n%s%+v, not %+v, %v", &written, got, empty, err)
	}
	if _, err := LoadConfig(t.TempDir(), "/no/such/file"); err == nil {
		t.Error("a file that was named and is not there")
	}
}

// Each field of Config is one setting, and each setting is shown with its meaning
// and in words.
func TestEverySettingIsShown(t *testing.T) {
	var fields []string
	var walk func(prefix string, of reflect.Type)
	walk = func(prefix string, of reflect.Type) {
		for i := range of.NumField() {
			f := of.Field(i)
			name := prefix + f.Tag.Get("json")
			if f.Type == reflect.TypeFor[Retention]() {
				walk(name+".", f.Type)
				continue
			}
			if name != "data_dir" {
				fields = append(fields, name)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	var keys []string
	for _, e := range DefaultConfig("/data").Explain() {
		keys = append(keys, e.Key)
		if e.About == "" || e.Words == "" || e.Default == "" {
			t.Errorf("%s is not explained: %+v", e.Key, e)
		}
	}
	slices.Sort(fields)
	slices.Sort(keys)
	if !slices.Equal(fields, keys) {
		t.Errorf("fields %v\nsettings %v", fields, keys)
	}
}

func TestSettingsInWords(t *testing.T) {
	c, err := load(t, `
audit_log_path = ""
segment_bytes = 1048576
segment_age = "1d"
min_free_bytes = 0
max_argv_bytes = 1500
[retain]
segments = 10
bytes = 100_000_000
age = "90d"
[retain_copies]
age = "2w"
`)
	if err != nil {
		t.Fatal(err)
	}
	words := make(map[string]string)
	for _, e := range c.Explain() {
		words[e.Key] = e.Words
	}
	for key, want := range map[string]string{
		"audit_log_path": "auditing is disabled", "segment_bytes": "1 MiB", "segment_age": "1 day", "min_free_bytes": "nobody looks",
		"max_argv_bytes": "1.5 KiB", "retain.segments": "newest 10 segments of the own log are kept, 10 MiB at most", "retain.bytes": "95.4 MiB",
		"retain.age": "between 90 days and 91 days after", "retain_copies.age": "between 14 days and 15 days",
		"retain_copies.bytes": "any number of bytes of each copy", "members": "nobody but this node", "audit_tasklist_id": "no network",
	} {
		if !strings.Contains(words[key], want) {
			t.Errorf("%s: %q, want %q", key, words[key], want)
		}
	}
	raw, err := json.Marshal(c)
	if err != nil || !strings.Contains(string(raw), `"age":"90d"`) {
		t.Errorf("%s, %v", raw, err)
	}
	c.SegmentAge = Duration{}
	if w := c.Explain(); !slices.ContainsFunc(w, func(e Explanation) bool { return strings.Contains(e.Words, "sealed, which is only for its size") }) {
		t.Error("an age without segment_age is not explained")
	}
}

// goTypes is what no message to people has in it.
var goTypes = regexp.MustCompile(`\b(u?int(8|16|32|64)?|float64|struct|interface|bool)\b|\bnode\.[A-Z]|\btime\.[A-Z]|\[\][a-z]|\bmap\[|\*[a-z]+\.[A-Z]|Go value`)

// What cannot be meant, or cannot work, is refused: with the line where it stands,
// the key, what is wrong, and what to write. No message names a type of Go.
func TestRefusedSettings(t *testing.T) {
	mesh := "audit_tasklist_id = \"t\"\n"
	for text, want := range map[string][]string{
		// Durations: a bare number was taken for nanoseconds.
		"[retain]\nage = 30":                   {"line 2: retain.age: 30: it has no unit", `"90d"`},
		"[retain]\nage = 2.5":                  {"retain.age: 2.5: it has no unit"},
		"[retain]\nage = 0":                    {"retain.age: 0: it has no unit"},
		"[retain]\nage = \"30\"":               {`line 2: retain.age: "30": it has no unit`},
		"segment_age = 86400":                  {"line 1: segment_age: 86400: it has no unit"},
		"retain = {age = 30}":                  {"retain.age: 30: it has no unit"},
		"retain.age = 30":                      {"line 1: retain.age: 30: it has no unit"},
		"[retain]\nage = true":                 {"retain.age: a duration in quotes", "not true"},
		"[retain]\nage = 07:32:00":             {"retain.age: a duration in quotes", "not a date or time of day"},
		"[retain]\nage = 2026-01-01T00:00:00Z": {"retain.age: a duration in quotes", "not a point in time"},
		"[retain]\nage = \"1s\"":               {"retain.age: 1s is less than 1h", "nobody could read"},
		"[retain_copies]\nage = \"59m\"":       {"retain_copies.age: 59m is less than 1h"},
		"[retain]\nage = \"-1d\"":              {"retain.age", "not negative"},
		"segment_age = \"1s\"":                 {"segment_age: 1s is less than 1m"},
		// Sizes.
		"segment_bytes = 0":                    {"segment_bytes: 0 is less than 65536"},
		"segment_bytes = 128":                  {"segment_bytes: 128 is less than 65536", "in bytes"},
		"segment_bytes = -5":                   {"segment_bytes: -5 is less than nothing"},
		"segment_bytes = \"128MiB\"":           {"segment_bytes: a whole number without quotes is wanted, not a text in quotes"},
		"segment_bytes = 9000000000000000":     {"segment_bytes", "would never be sealed"},
		"segment_bytes = 99999999999999999999": {"line 1", "too large"},
		"segment_bytes = 1.5":                  {"segment_bytes: a whole number without quotes is wanted, not the number 1.5"},
		"[retain]\nbytes = 10":                 {"retain.bytes: 10 is less than two segments", "in bytes", "nothing but the new, empty one"},
		"[retain]\nbytes = 134217728":          {"retain.bytes", "less than two segments (268435456 bytes)"},
		"[retain_copies]\nbytes = 1":           {"retain_copies.bytes"},
		"[retain]\nsegments = 1":               {"retain.segments: 1: right after a segment is sealed"},
		"[retain]\nsegments = 5000000":         {"retain.segments: 5000000: a number between 2 and 1000000 is meant"},
		"[retain]\nsegments = -1":              {"retain.segments: -1 is less than nothing"},
		"min_free_bytes = -1":                  {"min_free_bytes: -1 is less than nothing"},
		"min_free_bytes = 9000000000000000000": {"min_free_bytes", "not between"},
		"max_argv_bytes = 5":                   {"max_argv_bytes: 5 is not between 64 and 1048576"},
		"max_argv_bytes = 2000000":             {"max_argv_bytes: 2000000 is not between"},
		// Words.
		"log_level = \"loud\"":                       {"log_level: \"loud\" is not debug, info, warn or error"},
		"log_level = \"\"":                           {"log_level"},
		"log_level = 3":                              {"line 1: log_level: a text in quotes is wanted, not the number 3"},
		"agent_id = \"AA\"":                          {"agent_id: want 64 lower-case hex digits"},
		"audit_log_pth = \"x\"":                      {"line 1: unknown key \"audit_log_pth\"", `perhaps "audit_log_path"`},
		"[retian]\nage = \"90d\"":                    {"unknown key \"retian\""},
		"[retain]\nyears = 1":                        {"line 2: unknown key \"retain.years\""},
		"retain = 30":                                {"line 1: retain is a table: write [retain]"},
		"segment_bytes = {x = 1}":                    {"segment_bytes: a whole number without quotes is wanted, not a table"},
		"log_level = \"info\"\nlog_level = \"warn\"": {"line 2", "already defined"},
		"log_level = ":                               {"line 1"},
		"members = \"x\"":                            {"members: a list of texts", "not a text in quotes"},
		"members = [1]":                              {"members: a list of texts", "not the number 1"},
		"log_level = 3\nsegment_bytes = true":        {"line 1: log_level", "line 2: segment_bytes"}, // both at once
		// Paths.
		"audit_log_path = \"../x/audit.jsonl\"":             {"audit_log_path: \"../x/audit.jsonl\" leads out of the data directory", "the whole path"},
		"audit_log_path = \"log/../../audit.jsonl\"":        {"leads out of the data directory"},
		"audit_log_path = \"log/\"":                         {"names a directory"},
		"audit_log_path = \".\"":                            {"is another file of the node"},
		"audit_log_path = \"view/audit.jsonl\"":             {"audit_log_path", "own directory"},
		"audit_log_path = \"copies/a/audit.jsonl\"":         {"own directory"},
		"audit_log_path = \"state/audit.jsonl\"":            {"directory of the last-signed state"},
		"audit_log_path = \"state/deep/audit.jsonl\"":       {"own directory"},
		"audit_log_path = \"identity.key\"":                 {"another file of the node"},
		"audit_log_path = \"config.toml\"":                  {"another file of the node"},
		"audit_log_path = \"a\\nb\"":                        {"control character"},
		"audit_follow_path = \"../other.jsonl\"":            {"audit_follow_path", "leads out"},
		"audit_follow_path = \"view/other.jsonl\"":          {"audit_follow_path", "own directory"},
		"audit_follow_path = \"log/audit.jsonl\"":           {"audit_follow_path", "this node's own log"},
		"audit_log_path = \"\"\naudit_follow_path = \"/x\"": {"auditing is disabled, there is no log to copy into"},
		// The mesh.
		"members = [\"" + memberA + "\"]":                                                                             {"members: given without audit_tasklist_id"},
		"listen = [\"/ip4/127.0.0.1/tcp/7946\"]":                                                                      {"listen: given without audit_tasklist_id"},
		"bootstrap = [\"/ip4/1.2.3.4/tcp/1/p2p/x\"]":                                                                  {"bootstrap: given without audit_tasklist_id"},
		"audit_tasklist_id = \" t\"":                                                                                  {"audit_tasklist_id", "begins or ends with a space"},
		"audit_tasklist_id = \"a\\tb\"":                                                                               {"audit_tasklist_id", "control character"},
		"audit_tasklist_id = \"" + strings.Repeat("x", 129) + "\"":                                                    {"audit_tasklist_id", "129 bytes"},
		mesh + "listen = [\"localhost:7946\"]":                                                                        {"listen address \"localhost:7946\"", "write it as /ip4/127.0.0.1/tcp/7946"},
		mesh + "listen = [\"/dns4/example.org/tcp/1\"]":                                                               {"listen address", "cannot listen on a name"},
		mesh + "listen = [\"/ip4/127.0.0.1\"]":                                                                        {"listen address", "not an address that this node can listen on"},
		mesh + "listen = [\"/ip4/127.0.0.1/udp/7946\"]":                                                               {"not an address that this node can listen on"},
		mesh + "listen = [\"/ip4/127.0.0.1/tcp/99999\"]":                                                              {"listen address"},
		mesh + "listen = [\"/ip4/127.0.0.1/tcp/1/p2p/" + memberA + "\"]":                                              {"without the /p2p/ part"},
		mesh + "listen = [\"/ip4/127.0.0.1/tcp/1\", \"/ip4/127.0.0.1/tcp/1\"]":                                        {"listen: \"/ip4/127.0.0.1/tcp/1\" is there twice"},
		mesh + "bootstrap = [\"/ip4/192.0.2.1/tcp/7946\"]":                                                            {"bootstrap address", "no /p2p/<peer id> at its end"},
		mesh + "bootstrap = [\"/ip4/192.0.2.1/tcp/0/p2p/" + memberA + "\"]":                                           {"port 0 is none"},
		mesh + "bootstrap = [\"/ip4/0.0.0.0/tcp/7946/p2p/" + memberA + "\"]":                                          {"every address and none"},
		mesh + "bootstrap = [\"/p2p/" + memberA + "\"]":                                                               {"not an address that this node can dial"},
		mesh + "bootstrap = [\"/ip4/192.0.2.1/tcp/1/p2p/xyz\"]":                                                       {"bootstrap address"},
		mesh + "bootstrap = [\"/ip4/1.2.3.4/tcp/1/p2p/" + memberA + "\", \"/ip4/1.2.3.4/tcp/1/p2p/" + memberA + "\"]": {"bootstrap", "is there twice"},
		mesh + "members = [\"" + memberA + "\", \"" + memberA + "\"]":                                                 {"members: \"" + memberA + "\" is there twice"},
		mesh + "members = [\"nobody\"]":                                                                               {"members: \"nobody\" is not", "as `auditmesh init` of that node prints it"},
	} {
		_, err := load(t, text)
		if err == nil {
			t.Errorf("%q is allowed", text)
			continue
		}
		said := strings.ReplaceAll(err.Error(), text, "")
		for _, w := range want {
			if !strings.Contains(said, w) {
				t.Errorf("%q: it says %q, want %q", text, said, w)
			}
		}
		if found := goTypes.FindString(strings.ReplaceAll(said, "[retain]", "")); found != "" {
			t.Errorf("%q: %q is Go's: %s", text, found, said)
		}
	}
}

// What is right is not refused.
func TestAllowedSettings(t *testing.T) {
	boot := fmt.Sprintf("/dns4/example.org/udp/7946/quic-v1/p2p/%s", memberB)
	c, err := load(t, fmt.Sprintf(`
audit_log_path = "/var/log/auditmesh/audit.jsonl"
audit_follow_path = "/var/log/x0x/exec.jsonl"
audit_tasklist_id = "ops"
listen = ["/ip4/0.0.0.0/tcp/7946", "/ip6/::1/udp/7946/quic-v1"]
members = [%q, %q]
bootstrap = [%q]
segment_bytes = 65536
retain.age = "1h"
retain_copies = {segments = 2, bytes = 131072}
`, memberA, memberB, boot))
	if err != nil {
		t.Fatal(err)
	}
	if c.Retain.Age.Std() != time.Hour || c.RetainCopies.Segments != 2 || c.Bootstrap[0] != boot || len(c.Members) != 2 {
		t.Errorf("read as %+v", c)
	}
	if c.LogPath() != "/var/log/auditmesh/audit.jsonl" || c.FollowPath() != "/var/log/x0x/exec.jsonl" {
		t.Errorf("paths %s, %s", c.LogPath(), c.FollowPath())
	}
	for _, text := range []string{"audit_tasklist_id = \"t\"\nlisten = []", "audit_log_path = \"a/../b.jsonl\"", "audit_log_path = \"\"", "[retain]\n[retain_copies]"} {
		if _, err := load(t, text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLinesOfKeys(t *testing.T) {
	got := linesOf([]byte("a = 1\n\n[t]\n# c\nb = 2\nc.d = 3\n[u]\nx = [\n1]\n\"q r\" = 4\n"))
	want := map[string]int{"a": 1, "t": 3, "t.b": 5, "t.c.d": 6, "u": 7, "u.x": 8, "u.q r": 10}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestParty(t *testing.T) {
	id, err := EnsureIdentity(t.Context(), DefaultConfig(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig("/x")
	if c.Party(id.Raw) != id.Raw {
		t.Error("exec does not act for the node")
	}
	c.AgentID = strings.Repeat("ab", 32)
	if got := c.Party(id.Raw); got.String() != c.AgentID {
		t.Errorf("exec acts for %s", got)
	}
}

// A configuration or a key that is no file is refused at once: to read a pipe could
// last for ever.
func TestSpecialFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{configName, "identity.key"} {
		if err := unix.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadConfig(dir, ""); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("configuration: %v", err)
	}
	if _, err := LoadIdentity(DefaultConfig(dir)); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("identity: %v", err)
	}
}
