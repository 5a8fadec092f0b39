package event

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"pgregory.net/rapid"

	"auditmesh/audit/merkle"
)

// sample is the line of some event with some values, made from what the event says
// of its fields, and by nothing of what the package writes with.
type sample struct {
	name    string
	time    uint64
	members []member
	values  []string // JSON, one a member
}

func (s sample) line() []byte {
	parts := []string{`"event":"` + s.name + `"`, `"ts_unix_ms":` + strconv.FormatUint(s.time, 10)}
	for i, m := range s.members {
		if s.values[i] != "" {
			parts = append(parts, `"`+m.name+`":`+s.values[i])
		}
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

// with is the sample with another value of a field; an empty one leaves it out.
func (s sample) with(field, value string) sample {
	s.values = append([]string{}, s.values...)
	for i, m := range s.members {
		if m.name == field {
			s.values[i] = value
		}
	}
	return s
}

// drawSample draws an event of a kind whose values may be anything that may be written.
func drawSample(t *rapid.T, k named) sample {
	s := sample{name: k.name, time: rapid.Uint64().Draw(t, "time"), members: membersOf(k.make(0))}
	for _, m := range s.members {
		if m.optional && rapid.Bool().Draw(t, "null") {
			s.values = append(s.values, "null")
		} else {
			s.values = append(s.values, drawValue(t, m))
		}
	}
	return obeyingChecks(s)
}

// fullSample has a value in every field, and zero in none.
func fullSample(k named) sample {
	s := sample{name: k.name, time: 7, members: membersOf(k.make(0))}
	for _, m := range s.members {
		s.values = append(s.values, fullValue(m))
	}
	return obeyingChecks(s)
}

// obeyingChecks is the sample as the rules want it that are of more than one field.
func obeyingChecks(s sample) sample {
	if s.name != "task_removed" {
		return s
	}
	if s.values[1] == "[]" && s.values[0] == "null" {
		return s.with("request_id", `"`+strings.Repeat("5a", 16)+`"`)
	}
	if s.values[1] != "[]" {
		return s.with("request_id", "null")
	}
	return s
}

func drawValue(t *rapid.T, m member) string {
	if m.words != nil {
		return quoted(rapid.SampledFrom(m.words).Draw(t, m.name))
	}
	if inner, ok := elementType(m.json); ok {
		var list []string
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			list = append(list, drawValue(t, member{json: inner}))
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	switch m.json {
	case "string":
		return quoted(rapid.String().Draw(t, m.name))
	case "peer id":
		return quoted(samplePeer(rapid.Byte().Draw(t, m.name)))
	case "u64":
		switch m.name { // a range is not empty
		case "first":
			return strconv.FormatUint(rapid.Uint64Range(0, 1<<40).Draw(t, m.name), 10)
		case "end":
			return strconv.FormatUint(rapid.Uint64Range(1<<41, 1<<63).Draw(t, m.name), 10)
		}
		return strconv.FormatUint(rapid.Uint64().Draw(t, m.name), 10)
	case "u32":
		return strconv.FormatUint(uint64(rapid.Uint32().Draw(t, m.name)), 10)
	case "i32":
		return strconv.FormatInt(int64(rapid.Int32().Draw(t, m.name)), 10)
	case "bool":
		return strconv.FormatBool(rapid.Bool().Draw(t, m.name))
	case "hex16", "hex32":
		n, _ := strconv.Atoi(m.json[3:])
		return quoted(hex.EncodeToString(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, m.name)))
	case "base64":
		return quoted(base64.StdEncoding.EncodeToString(rapid.SliceOf(rapid.Byte()).Draw(t, m.name)))
	}
	return "{" + strings.Join(eachMember(m.json, func(m member) string { return drawValue(t, m) }), ",") + "}"
}

func fullValue(m member) string {
	if m.words != nil {
		return quoted(m.words[0])
	}
	if inner, ok := elementType(m.json); ok {
		return "[" + fullValue(member{json: inner}) + "]"
	}
	switch m.json {
	case "string":
		return `"some"`
	case "peer id":
		return quoted(samplePeer(1))
	case "u64", "u32", "i32":
		if m.name == "end" {
			return "9"
		}
		return "8"
	case "bool":
		return "true"
	case "hex16":
		return `"` + strings.Repeat("5a", 16) + `"`
	case "hex32":
		return `"` + strings.Repeat("5a", 32) + `"`
	case "base64":
		return `"YQBi"`
	}
	return "{" + strings.Join(eachMember(m.json, fullValue), ",") + "}"
}

// elementType is what an array is of.
func elementType(json string) (string, bool) {
	inner, ok := strings.CutPrefix(json, "[")
	return strings.TrimSuffix(inner, "]"), ok
}

// eachMember gives the members of an object from its type.
func eachMember(json string, value func(member) string) (list []string) {
	inner, ok := strings.CutPrefix(json, "{")
	if !ok {
		panic("the samples do not know the type " + json)
	}
	for _, field := range strings.Split(strings.TrimSuffix(inner, "}"), ", ") {
		name, json, _ := strings.Cut(field, " ")
		m := member{name: strings.Trim(name, "`"), json: json}
		list = append(list, quoted(m.name)+":"+value(m))
	}
	return list
}

func samplePeer(seed byte) string {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return merkle.PeerID(key.Public().(ed25519.PublicKey))
}

// quoted is a JSON string as docs/formats.md says.
func quoted(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case strings.ContainsRune("\b\t\n\f\r", r):
			b.WriteString(`\` + string("btnfr"[strings.IndexRune("\b\t\n\f\r", r)]))
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}
