package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"auditmesh/crdt"
)

// printable makes text inert in a terminal: control and format characters
// (escape sequences, bidi overrides) and broken UTF-8 are shown as escapes.
func printable(s string) string {
	ok := func(r rune) bool {
		return unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r) && (r == ' ' || !unicode.IsSpace(r))
	}
	var b strings.Builder
	for i, r := range s {
		_, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case ok(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	return b.String()
}

// printableArgv is an argv as one would type it, inert.
func printableArgv(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = printable(a)
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`&|;<>()*?[]#~!{}") && !strings.HasPrefix(a, "$'") {
			words[i] = "'" + strings.ReplaceAll(words[i], "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// short shortens an identifier for people: its last eight characters, since all
// peer ids begin alike, or the first eight of hex.
func short(id string) string {
	id = printable(id)
	if len(id) <= 12 {
		return id
	}
	if strings.HasPrefix(id, "12D3KooW") {
		return id[len(id)-8:]
	}
	return id[:8]
}

// clock is a recorded time in the local zone. One beyond what a calendar has is
// shown as the number that it is.
func clock(ms uint64) string {
	if ms > 253402300799999 { // the year 9999
		return fmt.Sprintf("%d ms", ms)
	}
	return time.UnixMilli(int64(ms)).Format("2006-01-02 15:04:05.000")
}

func duration(ms uint64) string {
	if ms > uint64(1<<63-1)/1e6 {
		return fmt.Sprintf("%d ms", ms)
	}
	return (time.Duration(ms) * time.Millisecond).String()
}

func bytesText(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, prefix := float64(n)/unit, 0
	for v >= unit && prefix < 5 {
		v /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTPE"[prefix])
}

// result is a task's outcome in a word or two.
func result(it crdt.Item) string {
	switch {
	case !it.Present:
		return "removed"
	case it.Denial != nil:
		return "denied: " + printable(*it.Denial)
	case it.Outcome != nil && it.Outcome.Signal != nil:
		return fmt.Sprintf("signal %d", *it.Outcome.Signal)
	case it.Outcome != nil && it.Outcome.Code != nil:
		return fmt.Sprintf("exit %d", *it.Outcome.Code)
	case it.State == crdt.Done:
		return "ended"
	case it.State == crdt.Claimed:
		return "running"
	default:
		return "requested"
	}
}

// table prints rows under a heading, in columns.
func table(w io.Writer, heading []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heading}, rows...) {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return t.Flush()
}

func writeJSON(w io.Writer, v any, indent string) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	return e.Encode(v)
}
