package event

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// readers are the two ways to be refused: as a line of a log, and as input.
func readers(k named) map[string]func([]byte) error {
	ways := map[string]func([]byte) error{
		"Decode": func(b []byte) error { _, err := Decode(b); return err },
	}
	if !k.byNode {
		ways["ParseInput"] = func(b []byte) error { _, err := ParseInput(b, 1); return err }
	}
	return ways
}

// A field that is left out, null or of another type is refused by its name, but
// for options, which may be left out and null.
func TestEveryFieldIsNeeded(t *testing.T) {
	eachKind(t, func(t *testing.T, k named) {
		full := fullSample(k)
		for _, m := range full.members {
			for what, value := range map[string]string{"left out": "", "null": "null", "an object": `{"a":1}`, "a fraction": "1.5"} {
				for name, read := range readers(k) {
					err := read(full.with(m.name, value).line())
					if m.optional && (what == "left out" || what == "null") && k.name != "task_removed" {
						if err != nil {
							t.Errorf("%s: %s is %s: %v", name, m.name, what, err)
						}
						continue
					}
					var fe *FieldError
					if m.optional && what == "null" || m.optional && what == "left out" {
						continue // a removal needs one of two
					}
					if !errors.As(err, &fe) || fe.Field != m.name || fe.Reason == "" {
						t.Errorf("%s: %s is %s: %v, want an error of that field", name, m.name, what, err)
					}
				}
			}
		}
	})
}

// A log may have fields that this version does not know; input may not.
func TestOtherFields(t *testing.T) {
	eachKind(t, func(t *testing.T, k named) {
		line := strings.TrimSuffix(string(fullSample(k).line()), "}") + `,"later":[{"a":1}]}`
		if e, err := Decode([]byte(line)); err != nil || e.Name() != k.name {
			t.Errorf("a later version's line: %+v, %v", e, err)
		}
		var fe *FieldError
		if _, err := ParseInput([]byte(line), 1); !errors.As(err, &fe) || !k.byNode && fe.Field != "later" {
			t.Errorf("as input: %v", err)
		}
	})
}

// Order and white space are the writer's choice; what is read is the same.
func TestOtherForms(t *testing.T) {
	eachKind(t, func(t *testing.T, k named) {
		full := fullSample(k)
		want, err := Encode(canonical(full.line()))
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(full.members)
		slices.Reverse(full.values)
		other := "\t" + strings.ReplaceAll(string(full.line()), `":`, `" : `) + " "
		if canonical([]byte(other)) != nil {
			t.Fatalf("taken for the writer's form: %s", other)
		}
		e, err := Decode([]byte(other))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Encode(e); err != nil || string(got) != string(want) {
			t.Errorf("%v\n got %s\nwant %s", err, got, want)
		}
	})
}

// A word that is in no vocabulary is refused where it would be written, and read
// where a later version wrote it; the node's own events are checked always.
func TestWords(t *testing.T) {
	words := 0
	eachKind(t, func(t *testing.T, k named) {
		full := fullSample(k)
		for _, m := range full.members {
			for _, w := range m.words {
				words++
				if e, err := Decode(full.with(m.name, quoted(w)).line()); err != nil || check(e) != nil {
					t.Errorf("%s %q is refused: %v", m.name, w, err)
				}
			}
			if m.words == nil {
				continue
			}
			line := full.with(m.name, `"tired"`).line()
			e, err := Decode(line)
			if k.byNode != (err != nil) {
				t.Errorf("reading %s: %v", line, err)
			}
			var fe *FieldError
			if !k.byNode {
				_, err = Encode(e)
				if !errors.As(err, &fe) || fe.Field != m.name {
					t.Errorf("writing %s: %v", line, err)
				}
				_, err = ParseInput(line, 1)
			}
			if !errors.As(err, &fe) || fe.Field != m.name || !strings.HasPrefix(fe.Reason, `"tired" is not `) {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
	if words != 8+12+3 {
		t.Errorf("%d words, want 23", words)
	}
}

// Text that is no UTF-8 is refused where it would be written, by its field.
func TestTextIsUTF8(t *testing.T) {
	bad, node := "a\xffb", samplePeer(1)
	for field, events := range map[string][]Event{
		"argv":        {&Request{Argv: []string{"", bad}}, &Denial{Reason: "spawn_failed", Argv: []string{bad}}},
		"matched_acl": {&Request{MatchedACL: &bad}},
		"kind":        {&Warning{Kind: bad}},
		"reason": {
			&Denial{Reason: bad}, &LogSucceeded{Reason: bad}, &FollowGap{Reason: bad},
			&TaskRemoved{RequestID: new(RequestID), Reason: bad},
		},
		"path":  {&FollowGap{Path: bad}, &FollowBytes{Path: bad}},
		"error": {&LogWriteFailed{Error: bad}},
		"by":    {&Reviewed{Node: node, By: bad}, &TaskReleased{Node: node, By: bad}},
		"value": {&TaskNoted{Node: node, Field: "note", Value: bad}},
		"field": {&TaskNoted{Node: node, Field: bad}},
		"node":  {&Reviewed{Node: bad}, &TaskReleased{Node: "12D3"}, &TaskNoted{Field: "note"}},
	} {
		for _, e := range events {
			line, err := Encode(e)
			var fe *FieldError
			if !errors.As(err, &fe) || fe.Field != field || line != nil {
				t.Errorf("%s: %q, %v, want an error of %q", e.Name(), line, err, field)
			}
		}
	}
}

// What is wrong inside an array is told with its place.
func TestPlaces(t *testing.T) {
	party, peer := strings.Repeat("5a", 32), samplePeer(1)
	dot := `{"node":"` + peer + `","log":"` + party + `","seq":1}`
	for _, c := range []struct{ kind, field, value, want string }{
		{"request", "argv", `["a",null]`, `field "argv/1": is missing or null`},
		{"request", "argv", `["a",7]`, `field "argv/1": number is not a JSON string`},
		{"request", "argv", `"a"`, `field "argv": string is not a JSON array`},
		{"task_released", "replaces", `[` + dot + `,{"node":"` + peer + `","seq":1}]`, `field "replaces/1/log": is missing or null`},
		{"task_released", "replaces", `[` + dot + `,null]`, `field "replaces/1": is not a JSON object`},
		{"task_released", "replaces", `[7]`, `field "replaces/0": is not a JSON object`},
		{"task_released", "replaces", `{}`, `field "replaces": { is not a JSON array`},
		{"task_noted", "replaces", strings.Replace(`[`+dot+`]`, `:1`, `:-1`, 1), `field "replaces/0/seq": -1 is not an unsigned integer of 64 bits`},
		{"task_removed", "ranges", `[{"log":"` + party + `","first":3,"end":3}]`, `field "ranges": [3, 3) is empty`},
		{"task_removed", "ranges", `[]`, `field "request_id": a removal names a request_id or ranges, and not both`},
		{"follow_bytes", "line", `"?"`, `field "line": string is not base64`},
	} {
		_, err := Decode(fullSample(*kindOf([]byte(c.kind))).with(c.field, c.value).line())
		if err == nil || err.Error() != c.want {
			t.Errorf("%s with %s %s:\n got %v\nwant %s", c.kind, c.field, c.value, err, c.want)
		}
	}
}
