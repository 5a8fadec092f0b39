package integration

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed says what each package of ours may import of ours: the order of
// docs/ARCHITECTURE.md, "Packages", from the bottom up.
var allowed = map[string]struct {
	imports []string
	why     string
}{
	"audit/disk":             {nil, "the few calls that durability rests on know nothing above them"},
	"audit/disk/disktest":    {[]string{"audit/disk"}, "it breaks that interface, for tests"},
	"audit/merkle":           {nil, "a proof is checked with nothing else: no files, no events"},
	"audit/event":            {[]string{"audit/merkle"}, "lines are read and written without I/O; a peer id in one is checked as such"},
	"internal/notify":        {nil, "wake-ups know nothing"},
	"internal/sdnotify":      {nil, "the service manager is told, whatever runs"},
	"internal/version":       {nil, "which build this is knows nothing of what was built"},
	"audit/segment":          {[]string{"audit/disk", "audit/event", "audit/merkle", "internal/notify"}, "files are read and kept without knowing who writes them"},
	"audit":                  {[]string{"audit/disk", "audit/event", "audit/merkle", "audit/segment"}, "the log knows no CRDT and no network"},
	"audit/follow":           {[]string{"audit", "audit/disk", "audit/event", "audit/merkle"}, "a follower is a writer of the log like any other"},
	"audit/holdings":         {[]string{"audit", "audit/disk", "audit/event", "audit/merkle", "audit/segment", "internal/notify"}, "what a node has, whoever shows or sends it"},
	"crdt":                   {nil, "the CRDT is pure: no clock, no goroutine, no input or output"},
	"crdt/crdttest":          {[]string{"crdt"}, "the schedules that every store must pass, for tests"},
	"mirror/rows":            {[]string{"audit/event", "audit/merkle", "crdt"}, "rows keep what crdt decides, and know nothing of the fold and of queries above them"},
	"mirror":                 {[]string{"audit/event", "audit/holdings", "audit/merkle", "audit/segment", "crdt", "internal/notify", "mirror/rows"}, "the view knows no network, and its database through rows alone"},
	"gossip":                 {[]string{"audit", "audit/merkle", "audit/segment", "gossip/internal/wire"}, "the mesh moves batches and knows no task"},
	"gossip/internal/wire":   {nil, "generated"},
	"internal/api":           {[]string{"audit", "audit/event", "audit/follow", "audit/merkle", "audit/segment", "crdt", "mirror"}, "the API answers for a node that it does not know"},
	"internal/node":          {[]string{"audit", "audit/disk", "audit/event", "audit/follow", "audit/holdings", "audit/merkle", "audit/segment", "crdt", "mirror", "gossip", "internal/api", "internal/version"}, "the only place that sees all"},
	"auditmesh":              {[]string{"audit", "audit/event", "audit/merkle", "internal/api", "internal/node"}, "the front door is thin over internal/node"},
	"cmd/auditmesh":          {[]string{"audit", "audit/disk", "audit/event", "audit/follow", "audit/holdings", "audit/merkle", "audit/segment", "crdt", "mirror", "gossip", "internal/api", "internal/node", "internal/sdnotify", "internal/version"}, "the command line; of the view the words of a query"},
	"integration":            {nil, "tests alone"},
	"integration/subscriber": {nil, "an example built on docs/formats.md alone"},
}

// crdtMayImport are the only packages of the standard library that a pure
// package needs.
var crdtMayImport = map[string]bool{"bytes": true, "cmp": true, "encoding/hex": true, "maps": true, "slices": true, "strings": true}

// pure are the packages that do no input or output, besides crdt, and what of the
// standard library would be that.
var (
	pure     = map[string]bool{"audit/merkle": true, "audit/event": true, "crdt": true}
	outwards = map[string]bool{"os": true, "os/exec": true, "net": true, "net/http": true, "syscall": true, "time": true, "log": true, "log/slog": true, "path/filepath": true}
)

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
			if pure[name] && outwards[i] {
				t.Errorf("%s imports %s: %s", name, i, rule.why)
			}
			if name == "crdt" && !crdtMayImport[i] {
				t.Errorf("crdt imports %s: %s", i, rule.why)
			}
		}
	}
}

// notLinked are what a node of TCP and QUIC has no use for, and what would bring
// them in: libp2p's own constructor.
var notLinked = []string{
	"github.com/libp2p/go-libp2p/config", "github.com/pion/webrtc", "github.com/quic-go/webtransport-go",
	"github.com/gorilla/websocket", "go.uber.org/fx",
}

func TestNodeLinksOnlyItsTransports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "auditmesh/cmd/auditmesh").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, "github.com/libp2p/go-libp2p/p2p/transport/quic") {
		t.Error("the node does not link QUIC: is this the right list?")
	}
	for _, pkg := range linked {
		for _, no := range notLinked {
			if pkg == no || strings.HasPrefix(pkg, no+"/") {
				t.Errorf("the node links %s: take libp2p's parts, not what makes a host of all of them", pkg)
			}
		}
	}
}

// Elsewhere than on Linux the program is a client: it builds, and nothing of a node
// is in it.
func TestClientElsewhere(t *testing.T) {
	for _, goos := range []string{"darwin", "windows"} {
		cmd := exec.Command("go", "list", "-deps", "auditmesh/cmd/auditmesh")
		cmd.Env = append(cmd.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", goos, err)
		}
		linked := strings.Fields(string(out))
		for _, has := range []string{"auditmesh/internal/api", "auditmesh/audit/merkle"} {
			if !slices.Contains(linked, has) {
				t.Errorf("the client for %s lacks %s", goos, has)
			}
		}
		for _, no := range []string{"auditmesh/internal/node", "auditmesh/gossip", "github.com/libp2p/go-libp2p/p2p/net/swarm"} {
			if slices.Contains(linked, no) {
				t.Errorf("the client for %s links %s", goos, no)
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
