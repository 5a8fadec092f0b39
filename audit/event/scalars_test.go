package event

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The least and greatest of each type are read, and what is beyond is refused, both
// in the writer's form and in any other.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		kind, field string
		good, bad   []string
	}{
		{
			"started", "pid",
			[]string{"0", "9", "10", "4294967295"},
			[]string{"-1", "-0", "00", "01", "4294967296", "42949672950", "1e3", "1.0", "+1", "0x1", `"1"`, "", "true"},
		},
		{
			"exit", "duration_ms",
			[]string{"0", "18446744073709551615"},
			[]string{"18446744073709551616", "184467440737095516150", "-1", "1.5"},
		},
		{
			"exit", "code",
			[]string{"null", "0", "-1", "2147483647", "-2147483648"},
			[]string{"2147483648", "-2147483649", "4294967295", "00", "-01", "--1", "-", "nul", "1.0"},
		},
		{"exit", "truncated", []string{"true", "false"}, []string{"0", "1", `"true"`, "True", "tru"}},
		{
			"warning", "bytes",
			[]string{"null", "0", "18446744073709551615"},
			[]string{"18446744073709551616", "-1"},
		},
		{
			"started", "request_id",
			[]string{quoted(strings.Repeat("0f", 16)), quoted(strings.Repeat("90", 16))},
			[]string{
				quoted(strings.Repeat("0F", 16)), quoted(strings.Repeat("0g", 16)), quoted(strings.Repeat("0f", 15)),
				quoted(strings.Repeat("0f", 17)), quoted(strings.Repeat("0f", 15) + "0"), `""`, "7", strings.Repeat("0f", 16),
				quoted(strings.Repeat("0f", 15) + "é"),
			},
		},
		{
			"follow_bytes", "line",
			[]string{`""`, `"YQ=="`, `"YWI="`, `"YWJj"`, `"+/+/"`},
			[]string{`"YQ"`, `"YQ="`, `"Y"`, `"_-_-"`, `"YW\nJj"`, `"Y Q="`, "7", "[]"},
		},
	} {
		full := fullSample(*kindOf([]byte(c.kind)))
		for _, v := range c.good {
			line := full.with(c.field, v).line()
			if canonical(line) == nil {
				t.Errorf("goes the slow way: %s", line)
			}
			sameAsCareful(t, line)
			got, err := Encode(canonical(line))
			if err != nil || string(got) != string(line)+"\n" {
				t.Errorf("%s became %s, %v", line, got, err)
			}
		}
		for _, v := range c.bad {
			line := []byte(strings.Replace(string(full.with(c.field, "@").line()), "@", v, 1))
			if e, err := Decode(line); err == nil {
				t.Errorf("%s was read as %+v", line, e)
			}
		}
	}
}

// Negative zero is zero to JSON; this program never writes it.
func TestNegativeZero(t *testing.T) {
	line := fullSample(*kindOf([]byte("exit"))).with("code", "-0").line()
	if canonical(line) != nil {
		t.Error("taken for the writer's form")
	}
	e, err := Decode(line)
	if err != nil || *e.(*Exit).Code != 0 {
		t.Errorf("%+v, %v", e, err)
	}
}

// An identifier's text is exact: one with two spellings would be two.
func TestIdentifiers(t *testing.T) {
	request, party := RequestID{1, 0xab}, PartyID{31: 0xff}
	if got, err := ParseRequestID(request.String()); err != nil || got != request {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ParsePartyID(party.String()); err != nil || got != party {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "ab", strings.Repeat("AB", 16), strings.Repeat("ab", 32), strings.Repeat("xy", 16)} {
		if id, err := ParseRequestID(bad); err == nil {
			t.Errorf("%q is %v", bad, id)
		}
		if id, err := ParsePartyID(bad + bad + "0"); err == nil {
			t.Errorf("%q is %v", bad, id)
		}
	}
}

// A line that is too long is refused with the field to make shorter, and what was
// written before it stays.
func TestTooLong(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	for field, e := range map[string]Event{
		"argv":        &Request{Argv: []string{long[:600_000], long[:600_000]}},
		"matched_acl": &Request{MatchedACL: &long, Argv: []string{"a"}},
		"line":        &FollowBytes{Path: "p", Line: []byte(long)},
		"c":           &Application{Body: fmt.Appendf(nil, `{"event":"x-a","ts_unix_ms":1,"b":[1],"c":"%s"}`, long)},
	} {
		dst, err := AppendLine([]byte("before"), e)
		var fe *FieldError
		if !errors.As(err, &fe) || fe.Field != field || !strings.Contains(fe.Reason, "the limit is 1048576") {
			t.Errorf("%s: %v", field, err)
		}
		if string(dst) != "before" {
			t.Errorf("%s: %d bytes were left", field, len(dst))
		}
	}
	exact := &Request{Argv: []string{""}}
	empty, err := Encode(exact)
	if err != nil {
		t.Fatal(err)
	}
	exact.Argv[0] = long[:1<<20-len(empty)]
	if line, err := Encode(exact); err != nil || len(line) != 1<<20 {
		t.Errorf("a line of the greatest length: %d bytes, %v", len(line), err)
	}
	exact.Argv[0] += "a"
	if _, err := Encode(exact); err == nil {
		t.Error("a line with one byte more was written")
	}
}
