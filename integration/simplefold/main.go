// Command simplefold computes the view hash of a mesh from the nodes' JSONL files
// alone. It is written from docs/formats.md ("Lines", "The fold", "View hash"),
// shares no code with auditmesh, keeps everything in memory and looks at
// everything again and again: what is right here is easy to see.
//
//	simplefold NODE=DIRECTORY...    each a peer id and a directory with one log
package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/mr-tron/base58"
)

type fields map[string]jsontext.Value

type record struct {
	node, log, event string
	seq, ts          uint64
	f                fields
}

// What each event must have: name:type, with ? if it may be absent or null.
var spec = map[string]string{
	"request":        "request_id:hex16 agent_id:hex32 machine_id:hex32 argv:strings matched_acl:string? stdin_bytes:u64 timeout_ms:u32",
	"started":        "request_id:hex16 pid:u32",
	"warning":        "request_id:hex16 kind:string bytes:u64?",
	"exit":           "request_id:hex16 code:i32? signal:i32? duration_ms:u64 stdout_bytes:u64 stderr_bytes:u64 truncated:bool",
	"denial":         "request_id:hex16 agent_id:hex32 machine_id:hex32 argv:strings reason:string",
	"task_removed":   "request_id:hex16? ranges:ranges reason:string",
	"task_claimed":   "node:peer request_id:hex16 by:string",
	"task_completed": "node:peer request_id:hex16 by:string",
	"task_released":  "node:peer request_id:hex16 by:string replaces:dots",
	"task_noted":     "node:peer request_id:hex16 by:string field:register value:string replaces:dots",
	"log_succeeded":  "log:hex32 size:u64 root:hex32 reason:string",
}

type dot struct {
	Node *string `json:"node"`
	Log  *string `json:"log"`
	Seq  *uint64 `json:"seq"`
}

type seqRange struct {
	Log   *string `json:"log"`
	First *uint64 `json:"first"`
	End   *uint64 `json:"end"`
}

func get[T any](v jsontext.Value) (t T) {
	if len(v) > 0 {
		check(json.Unmarshal(v, &t))
	}
	return t
}

func is[T any](v jsontext.Value) (t T, ok bool) {
	var p *T
	ok = json.Unmarshal(v, &p) == nil && p != nil
	if ok {
		t = *p
	}
	return t, ok
}

func isHex(s *string, n int) bool {
	return s != nil && len(*s) == 2*n && strings.Trim(*s, "0123456789abcdef") == ""
}

func hasType(v jsontext.Value, kind string) bool {
	switch kind {
	case "u64":
		_, ok := is[uint64](v)
		return ok
	case "u32":
		_, ok := is[uint32](v)
		return ok
	case "i32":
		_, ok := is[int32](v)
		return ok
	case "bool":
		_, ok := is[bool](v)
		return ok
	case "strings":
		list, ok := is[[]*string](v)
		return ok && !slices.Contains(list, nil)
	case "dots":
		list, ok := is[[]dot](v)
		return ok && !slices.ContainsFunc(list, func(d dot) bool { return d.Node == nil || !isHex(d.Log, 32) || d.Seq == nil })
	case "ranges":
		list, ok := is[[]seqRange](v)
		return ok && !slices.ContainsFunc(list, func(r seqRange) bool {
			return !isHex(r.Log, 32) || r.First == nil || r.End == nil || *r.First >= *r.End
		})
	}
	s, ok := is[string](v)
	switch kind {
	case "hex16":
		return ok && isHex(&s, 16)
	case "hex32":
		return ok && isHex(&s, 32)
	case "peer":
		raw, err := base58.Decode(s)
		return ok && err == nil && len(raw) == 38 && bytes.HasPrefix(raw, []byte{0, 0x24, 8, 1, 0x12, 0x20}) && base58.Encode(raw) == s
	case "register":
		return ok && slices.Contains([]string{"note", "priority", "assignee"}, s)
	}
	return ok
}

// parse makes a record of a line, false if it does not operate.
func parse(r record, line []byte) (record, bool) {
	if json.Unmarshal(line, &r.f) != nil || r.f == nil {
		return r, false
	}
	event, ok := is[string](r.f["event"])
	ts, okTime := is[uint64](r.f["ts_unix_ms"])
	r.event, r.ts = event, ts
	if !ok || !okTime {
		return r, false
	}
	if strings.HasPrefix(event, "x-") {
		return r, hasType(r.f["request_id"], "hex16")
	}
	if spec[event] == "" {
		return r, false
	}
	for _, field := range strings.Fields(spec[event]) {
		name, kind, _ := strings.Cut(field, ":")
		kind, optional := strings.CutSuffix(kind, "?")
		v := r.f[name]
		if optional && (len(v) == 0 || string(v) == "null") {
			continue
		}
		if !hasType(v, kind) {
			return r, false
		}
	}
	if event == "task_removed" && (r.str("request_id") == "") == (len(get[[]seqRange](r.f["ranges"])) == 0) {
		return r, false
	}
	return r, true
}

func (r record) str(name string) string { s, _ := is[string](r.f[name]); return s }

func (r record) isTag() bool {
	return strings.HasPrefix(r.event, "x-") || slices.Contains([]string{"request", "started", "warning", "exit", "denial"}, r.event)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
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

// compare is the order of dots.
func (v view) compare(a, b record) int {
	return cmp.Or(strings.Compare(a.node, b.node), cmp.Compare(v.rank(a.node, a.log), v.rank(b.node, b.log)), strings.Compare(a.log, b.log), cmp.Compare(a.seq, b.seq))
}
