package event

import (
	"os"
	"strings"
	"testing"
)

// docs/formats.md has the tables that the events here make: what it says and what
// the code does cannot differ.
func TestFormatsDocument(t *testing.T) {
	raw, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(raw)
	for heading, want := range map[string]string{
		"| event | who | fields, in this order |\n": eventTable(),
		"| event | field | words |\n":               wordTable(),
	} {
		_, after, ok := strings.Cut(doc, heading)
		if !ok {
			t.Errorf("docs/formats.md has no table that begins with %s", heading)
			continue
		}
		table, _, _ := strings.Cut(after, "\n\n")
		if got := heading + table + "\n"; got != heading+want {
			t.Errorf("docs/formats.md differs from the events: put this table there\n\n%s%s", heading, want)
		}
	}
}

func eventTable() string {
	var b strings.Builder
	b.WriteString("|---|---|---|\n")
	application := false
	for _, k := range kinds {
		who := "any"
		if k.byNode {
			who = "node"
		}
		if k.byNode && !application {
			application = true
			b.WriteString("| `x-…` | any | `request_id` hex16 if it has one, then its own in its own order, without white space |\n")
		}
		var fields []string
		for _, m := range membersOf(k.make(0)) {
			field := "`" + m.name + "` " + m.json
			if m.optional {
				field += " or null"
			}
			fields = append(fields, field)
		}
		b.WriteString("| `" + k.name + "` | " + who + " | " + strings.Join(fields, ", ") + " |\n")
	}
	return b.String()
}

func wordTable() string {
	var b strings.Builder
	b.WriteString("|---|---|---|\n")
	for _, k := range kinds {
		for _, m := range membersOf(k.make(0)) {
			if m.words != nil {
				b.WriteString("| `" + k.name + "` | `" + m.name + "` | " + strings.Join(m.words, ", ") + " |\n")
			}
		}
	}
	return b.String()
}
