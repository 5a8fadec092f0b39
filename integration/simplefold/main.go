// Command simplefold computes the view hash of a mesh from the nodes' JSONL files
// alone. It is written from docs/formats.md ("Lines", "The fold", "View hash"),
// shares no code with auditmesh, keeps everything in memory and looks at
// everything again and again: what is right here is easy to see.
//
//	simplefold NODE=DIRECTORY...    each a peer id and a directory with one log
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/mr-tron/base58"
)

// record is a line. Values are what JSON has, and of numbers int64 if they are
// integers, uint64 if only that holds them.
type record struct {
	node, log, event string
	seq, ts          uint64
	f                map[string]any
}

// What each event must have: name:type, with ? if it may be absent or null.
var spec = map[string]string{
	"request":        "request_id:hex16 agent_id:hex32 machine_id:hex32 argv:[]string matched_acl:string? stdin_bytes:u64 timeout_ms:u32",
	"started":        "request_id:hex16 pid:u32",
	"warning":        "request_id:hex16 kind:string bytes:u64?",
	"exit":           "request_id:hex16 code:i32? signal:i32? duration_ms:u64 stdout_bytes:u64 stderr_bytes:u64 truncated:bool",
	"denial":         "request_id:hex16 agent_id:hex32 machine_id:hex32 argv:[]string reason:string",
	"task_removed":   "request_id:hex16? ranges:[]range? reason:string",
	"task_claimed":   "node:peer request_id:hex16 by:string",
	"task_completed": "node:peer request_id:hex16 by:string",
	"task_released":  "node:peer request_id:hex16 by:string replaces:[]dot",
	"task_noted":     "node:peer request_id:hex16 by:string field:register value:string replaces:[]dot",
	"log_succeeded":  "log:hex32 size:u64 root:hex32 reason:string",
	"dot":            "node:string log:hex32 seq:u64",
	"range":          "log:hex32 first:u64 end:u64",
}

func main() {
	var v view
	for _, arg := range os.Args[1:] {
		node, dir, _ := strings.Cut(arg, "=")
		segments, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
		check(err)
		slices.Sort(segments)
		r := record{node: node}
		for _, s := range segments {
			raw, err := os.ReadFile(s)
			check(err)
			for line := range bytes.Lines(raw) {
				line = bytes.TrimSuffix(line, []byte("\n"))
				if r.log == "" {
					id := sha256.Sum256(append([]byte{0}, line...))
					r.log = hex.EncodeToString(id[:])
				}
				if rec, ok := parse(r, line); ok {
					v = append(v, rec)
				}
				r.seq++
			}
		}
	}
	fmt.Println(v.hash())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// parse makes a record of a line, false if it does not operate.
func parse(r record, line []byte) (record, bool) {
	if json.Unmarshal(line, &r.f, json.WithUnmarshalers(json.UnmarshalFromFunc(number))) != nil || !fits(r.f["ts_unix_ms"], "u64") {
		return r, false
	}
	r.event, r.ts = r.str("event"), u64(r.f["ts_unix_ms"])
	if strings.HasPrefix(r.event, "x-") {
		return r, fits(r.f["request_id"], "hex16")
	}
	ranges, _ := r.f["ranges"].([]any)
	if r.event == "task_removed" && (r.f["request_id"] == nil) == (len(ranges) == 0) {
		return r, false
	}
	return r, r.event != "dot" && r.event != "range" && fits(r.f, r.event)
}

func number(d *jsontext.Decoder, v *any) error {
	if d.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	raw, err := d.ReadValue()
	*v = struct{}{} // fits nothing
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		*v = n
	} else if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
		*v = n
	}
	return err
}

func u64(v any) uint64 { n, _ := strconv.ParseUint(fmt.Sprint(v), 10, 64); return n }

// fits says whether a value is of a type.
func fits(v any, kind string) bool {
	s, text := v.(string)
	list, isList := v.([]any)
	if of, ok := strings.CutPrefix(kind, "[]"); ok {
		return isList && !slices.ContainsFunc(list, func(v any) bool { return !fits(v, of) })
	}
	size, _ := strconv.Atoi(strings.Trim(kind, "uihex"))
	switch kind {
	case "string":
		return text
	case "bool":
		_, ok := v.(bool)
		return ok
	case "u64", "u32":
		_, err := strconv.ParseUint(fmt.Sprint(v), 10, size)
		return !text && err == nil
	case "i32":
		_, err := strconv.ParseInt(fmt.Sprint(v), 10, size)
		return !text && err == nil
	case "hex16", "hex32":
		return len(s) == 2*size && strings.Trim(s, "0123456789abcdef") == ""
	case "peer":
		raw, err := base58.Decode(s)
		return err == nil && len(raw) == 38 && bytes.HasPrefix(raw, []byte{0, 0x24, 8, 1, 0x12, 0x20}) && base58.Encode(raw) == s
	case "register":
		return s == "note" || s == "priority" || s == "assignee"
	}
	f, ok := v.(map[string]any)
	for _, field := range strings.Fields(spec[kind]) {
		name, kind, _ := strings.Cut(field, ":")
		kind, optional := strings.CutSuffix(kind, "?")
		ok = ok && (optional && f[name] == nil || fits(f[name], kind))
	}
	return ok && spec[kind] != "" && (kind != "range" || u64(f["first"]) < u64(f["end"]))
}

func (r record) str(name string) string { s, _ := r.f[name].(string); return s }

func (r record) is(events ...string) bool { return slices.Contains(events, r.event) }
