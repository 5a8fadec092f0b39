package event

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"auditmesh/audit/merkle"
)

type goldenInput struct {
	Call     string    `json:"call"`
	TS       uint64    `json:"ts_unix_ms"`
	Agent    PartyID   `json:"agent_id"`
	Machine  PartyID   `json:"machine_id"`
	Request  RequestID `json:"request_id"`
	Argv     []string  `json:"argv"`
	ACL      *string   `json:"matched_acl"`
	Stdin    uint64    `json:"stdin_bytes"`
	Timeout  uint32    `json:"timeout_ms"`
	PID      uint32    `json:"pid"`
	Kind     string    `json:"kind"`
	Bytes    *uint64   `json:"bytes"`
	Code     *int32    `json:"code"`
	Signal   *int32    `json:"signal"`
	Duration uint64    `json:"duration_ms"`
	Stdout   uint64    `json:"stdout_bytes"`
	Stderr   uint64    `json:"stderr_bytes"`
	Trunc    bool      `json:"truncated"`
	Reason   string    `json:"reason"`
}

func (in goldenInput) event(t testing.TB) Event {
	switch in.Call {
	case "request":
		return &Request{in.TS, in.Request, in.Agent, in.Machine, in.Argv, in.ACL, in.Stdin, in.Timeout}
	case "started":
		return &Started{in.TS, in.Request, in.PID}
	case "warning":
		return &Warning{in.TS, in.Request, in.Kind, in.Bytes}
	case "exit":
		return &Exit{in.TS, in.Request, in.Code, in.Signal, in.Duration, in.Stdout, in.Stderr, in.Trunc}
	case "denial":
		return &Denial{in.TS, in.Request, in.Agent, in.Machine, in.Argv, in.Reason}
	}
	t.Fatalf("unknown call %q", in.Call)
	return nil
}

func goldenLines(t testing.TB) [][]byte {
	f, err := os.Open("testdata/golden/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines [][]byte
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, merkle.MaxLine)
	for sc.Scan() {
		lines = append(lines, append(bytes.Clone(sc.Bytes()), '\n'))
	}
	return lines
}

// The 80 lines that x0x's own writer wrote are reproduced to the byte, from
// what it was asked to write, from its lines, and as a client's input.
func TestGoldenLines(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden/inputs.json")
	if err != nil {
		t.Fatal(err)
	}
	var inputs []goldenInput
	if err := json.Unmarshal(raw, &inputs); err != nil {
		t.Fatal(err)
	}
	lines := goldenLines(t)
	if len(inputs) != 80 || len(lines) != 80 {
		t.Fatalf("%d inputs, %d lines, want 80", len(inputs), len(lines))
	}
	for i, in := range inputs {
		want := in.event(t)
		if got, err := Encode(want); err != nil || !bytes.Equal(got, lines[i]) {
			t.Errorf("line %d: %v\n got %q\nwant %q", i, err, got, lines[i])
		}
		for name, parse := range map[string]func([]byte) (Event, error){
			"Decode":     Decode,
			"ParseInput": func(b []byte) (Event, error) { return ParseInput(b, 1) },
		} {
			got, err := parse(lines[i])
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s of line %d: %v\n got %+v\nwant %+v", name, i, err, got, want)
			}
		}
	}
}

func TestParseInputStampsAndOrders(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	for _, c := range []struct{ in, want string }{
		{`{"pid":7,"request_id":"` + id + `","event":"started"}`, `{"event":"started","ts_unix_ms":42,"request_id":"` + id + `","pid":7}`},
		{`{"request_id":"` + id + `","event":"warning","kind":"cancelled","ts_unix_ms":5}`, `{"event":"warning","ts_unix_ms":5,"request_id":"` + id + `","kind":"cancelled","bytes":null}`},
		{` {"b" : [1, 2.50, "\u00e9\u2028"], "event":"x-deploy"} `, "{\"event\":\"x-deploy\",\"ts_unix_ms\":42,\"b\":[1,2.50,\"é\u2028\"]}"},
		{`{"z":1,"event":"x-","request_id":"` + id + `"}`, `{"event":"x-","ts_unix_ms":42,"request_id":"` + id + `","z":1}`},
	} {
		e, err := ParseInput([]byte(c.in), 42)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got, err := Encode(e); err != nil || string(got) != c.want+"\n" {
			t.Errorf("%s: %v\n got %s\nwant %s", c.in, err, got, c.want)
		}
	}
}

// Fault 43 and 42: what a client may not append, and the field that it is told.
func TestParseInputRefuses(t *testing.T) {
	const id = `"request_id":"00112233445566778899aabbccddeeff"`
	for _, c := range []struct{ name, in, field string }{
		{"no object", `[]`, ""},
		{"no JSON", `{"event":`, ""},
		{"two objects", `{"event":"started"} {}`, ""},
		{"no event", `{"pid":1}`, "event"},
		{"unknown event", `{"event":"reboot"}`, "event"},
		{"mesh event", `{"event":"log_succeeded","log":"` + strings.Repeat("00", 32) + `","size":1,"root":"` + strings.Repeat("00", 32) + `","reason":""}`, "event"},
		{"duplicate", `{"event":"started","pid":1,"pid":2,` + id + `}`, "pid"},
		{"case variant", `{"event":"started","PID":1,` + id + `}`, "PID"},
		{"foreign field", `{"event":"started","pid":1,"code":1,` + id + `}`, "code"},
		{"missing", `{"event":"started",` + id + `}`, "pid"},
		{"null", `{"event":"started","pid":null,` + id + `}`, "pid"},
		{"null time", `{"event":"started","pid":1,"ts_unix_ms":null,` + id + `}`, "ts_unix_ms"},
		{"out of range", `{"event":"started","pid":4294967296,` + id + `}`, "pid"},
		{"negative", `{"event":"started","pid":-1,` + id + `}`, "pid"},
		{"fraction", `{"event":"started","pid":1.5,` + id + `}`, "pid"},
		{"string number", `{"event":"started","pid":"1",` + id + `}`, "pid"},
		{"upper-case id", `{"event":"started","pid":1,"request_id":"00112233445566778899AABBCCDDEEFF"}`, "request_id"},
		{"short id", `{"event":"started","pid":1,"request_id":"00"}`, "request_id"},
		{"unknown kind", `{"event":"warning","kind":"tired",` + id + `}`, "kind"},
		{"x- with a bad id", `{"event":"x-a","request_id":7}`, "request_id"},
		{"invalid UTF-8", "{\"event\":\"x-a\",\"b\":\"\xff\"}", ""},
		{"argv null", `{"event":"denial","argv":[null],"reason":"spawn_failed","agent_id":"` + strings.Repeat("00", 32) + `","machine_id":"` + strings.Repeat("00", 32) + `",` + id + `}`, "argv/0"},
	} {
		e, err := ParseInput([]byte(c.in), 1)
		if err == nil {
			t.Errorf("%s: accepted as %+v", c.name, e)
			continue
		}
		var fe *FieldError
		if c.field != "" && (!errors.As(err, &fe) || fe.Field != c.field) {
			t.Errorf("%s: %v, want field %q", c.name, err, c.field)
		}
	}
}

func TestRefusalsSayWhatIsWanted(t *testing.T) {
	for in, want := range map[string]string{
		`{"event":"started","pid":-1,"request_id":"00112233445566778899aabbccddeeff"}`: `field "pid": -1 is not an unsigned integer of 32 bits`,
		`{"event":"started","pid":1,"request_id":"00"}`:                                `field "request_id": want 32 lower-case hex digits, got 2 characters`,
		`{"event":7}`: `field "event": number is not a JSON string`,
	} {
		if _, err := ParseInput([]byte(in), 1); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

// What a newer node wrote is read as far as it is understood.
func TestDecodeIsLenient(t *testing.T) {
	const id = `"request_id":"00112233445566778899aabbccddeeff"`
	e, err := Decode([]byte(`{"event":"warning","ts_unix_ms":1,"kind":"new_kind","new":{},` + id + `}`))
	if w, ok := e.(*Warning); err != nil || !ok || w.Kind != "new_kind" {
		t.Errorf("unknown kind: %+v, %v", e, err)
	}
	if e, err := Decode([]byte(`{"event":"task_split","ts_unix_ms":9}`)); err != nil || e.Name() != "task_split" || e.Time() != 9 {
		t.Errorf("unknown event: %+v, %v", e, err)
	}
	for _, bad := range []string{``, `null`, `"x"`, `{"event":"started","ts_unix_ms":1,` + id + `}`, `{"event":"exit"}`, "\x00\x00"} {
		if e, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, e)
		}
	}
}

func TestMeshEventsRoundTrip(t *testing.T) {
	node := merkle.PeerID(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)).Public().(ed25519.PublicKey))
	id, log := RequestID{1, 2}, PartyID{3, 4}
	for file, events := range map[string][]Event{
		"mesh.jsonl": {
			&TaskRemoved{1, &id, []SeqRange{}, "kept \"long\" enough"},
			&TaskRemoved{2, nil, []SeqRange{{log, 0, 5}, {log, 7, 1 << 63}}, ""},
			&Reviewed{false, 3, node, id, "ada"},
			&Reviewed{true, 4, node, id, "ada"},
			&TaskReleased{5, node, id, "ada", []Dot{{node, log, 9}}},
			&TaskReleased{5, node, id, "", []Dot{}},
			&TaskNoted{6, node, id, "ada", "priority", "high", []Dot{{node, log, 9}, {node, log, 10}}},
			&LogSucceeded{7, log, 1 << 40, PartyID{9}, "restored from backup"},
		},
		"incidents.jsonl": {
			&LogWriteFailed{8, 7, 3, 2, 41, "write …/audit.jsonl: no space left on device"},
			&DiskSpaceLow{9, 1 << 20, 1 << 28},
			&FollowBytes{10, "/var/log/x0x.jsonl", 11, []byte("a\x00b")},
			&FollowGap{11, "/var/log/x0x.jsonl", 12, 13, "gone"},
		},
	} {
		raw, err := os.ReadFile("testdata/golden/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, e := range events {
			if all, err = AppendLine(all, e); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(all, raw) {
			t.Errorf("testdata/golden/%s differs:\n got %s\nwant %s", file, all, raw)
		}
		for i, line := range bytes.Split(bytes.TrimSpace(all), []byte("\n")) {
			if got, err := Decode(line); err != nil || !reflect.DeepEqual(got, events[i]) {
				t.Errorf("%s, line %d: %v\n got %+v\nwant %+v", file, i, err, got, events[i])
			}
		}
	}
}

// Fault 41: any argv makes one physical line and comes back byte for byte.
func TestArgvRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		argv := rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, "argv")
		want := &Request{Argv: append([]string{}, argv...)}
		line, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("%q is not one line", line)
		}
		got, err := Decode(line)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v: %+v", err, got)
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	for name, e := range map[string]Event{
		"invalid UTF-8": &Request{Argv: []string{"\xff"}},
		"too long":      &Request{Argv: []string{strings.Repeat("a", merkle.MaxLine)}},
		"kind":          &Warning{Kind: "tired"},
		"reason":        &Denial{Reason: "tired"},
		"unknown":       &Unknown{EventName: "reboot"},
	} {
		var fe *FieldError
		if _, err := Encode(e); !errors.As(err, &fe) {
			t.Errorf("%s: %v, want a *FieldError", name, err)
		}
	}
}

func FuzzParseInput(f *testing.F) {
	for _, l := range goldenLines(f) {
		f.Add(l)
	}
	f.Add([]byte(`{"event":"x-a","b":[1,{"c":null}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := ParseInput(in, 1)
		if err != nil {
			return
		}
		line, err := Encode(e)
		if err != nil {
			return // too long
		}
		again, err := ParseInput(line, 2)
		if err != nil {
			t.Fatalf("%q was written and is refused: %v", line, err)
		}
		if second, err := Encode(again); err != nil || !bytes.Equal(line, second) {
			t.Fatalf("not canonical: %q then %q (%v)", line, second, err)
		}
		if _, err := Decode(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			t.Fatalf("%q cannot be read: %v", line, err)
		}
	})
}
