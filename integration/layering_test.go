package integration

import (
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// allowed says what each package of ours may import of ours. It is the design's
// order: cmd → internal/node → internal/api, mirror, gossip → crdt, audit →
// internal/durable.
var allowed = map[string]struct {
	imports []string
	why     string
}{
	"internal/durable":             {nil, "the few calls that durability rests on know nothing above them"},
	"internal/durable/durabletest": {[]string{"internal/durable"}, "it breaks that interface, for tests"},
	"internal/notify":              {nil, "wake-ups know nothing"},
	"audit":                        {[]string{"internal/durable", "internal/notify"}, "the log knows no CRDT and no network"},
	"crdt":                         {nil, "the CRDT is pure: no clock, no goroutine, no input or output"},
	"crdt/crdttest":                {[]string{"crdt"}, "the schedules that every store must pass, for tests"},
	"mirror":                       {[]string{"audit", "crdt", "internal/durable", "internal/notify", "mirror/rows"}, "the view knows no network"},
	"mirror/rows":                  {[]string{"audit", "crdt"}, "rows keep what crdt decides, and know nothing of the fold and of queries above them"},
	"gossip":                       {[]string{"audit", "gossip/internal/wire"}, "the mesh moves batches and knows no task"},
	"gossip/internal/wire":         {nil, "generated"},
	"internal/api":                 {[]string{"audit", "crdt", "mirror"}, "the API answers for a node that it does not know"},
	"internal/node":                {[]string{"audit", "crdt", "mirror", "gossip", "internal/api", "internal/durable"}, "the only place that sees all"},
	"cmd/auditmesh":                {[]string{"audit", "crdt", "mirror", "gossip", "internal/api", "internal/durable", "internal/node"}, "the command line; of the view the words of a query"},
	"integration":                  {nil, "tests alone"},
	"integration/subscriber":       {nil, "an example built on docs/formats.md alone"},
}

// crdtMayImport are the only packages of the standard library that a pure
// package needs.
var crdtMayImport = map[string]bool{"bytes": true, "cmp": true, "encoding/hex": true, "maps": true, "slices": true, "strings": true}

func TestImportsGoOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "auditmesh/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, "auditmesh/")
		rule, known := allowed[name]
		if !known {
			t.Errorf("package %s is not in the order of packages: add it, with the reason", name)
			continue
		}
		may := map[string]bool{}
		for _, i := range rule.imports {
			may["auditmesh/"+i] = true
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "auditmesh/") && !may[i] {
				t.Errorf("%s imports %s: %s", name, i, rule.why)
			}
			if strings.HasPrefix(i, "github.com/dgraph-io/") && name != "mirror/rows" {
				t.Errorf("%s imports %s: the database is behind mirror/rows alone", name, i)
			}
			if name == "crdt" && !crdtMayImport[i] {
				t.Errorf("crdt imports %s: %s", i, rule.why)
			}
		}
	}
}

func TestDemoConverges(t *testing.T) {
	out, err := exec.Command(binary, "demo").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "Converged: 3 nodes, 25 tasks") {
		t.Errorf("its last line is %q", last)
	}
}
