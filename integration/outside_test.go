package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A module of somebody else's, which has nothing of this one but its public
// packages, makes a log, reads, proves and verifies it, fakes its disk, and embeds
// a node.
func TestOutsideModule(t *testing.T) {
	tree, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, err := os.ReadFile(filepath.Join("testdata", "outside", "main.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	// What the module needs, and at which versions, is what this one needs.
	gomod, err := os.ReadFile(filepath.Join(tree, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, requires, _ := strings.Cut(string(gomod), "\n")
	sums, err := os.ReadFile(filepath.Join(tree, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod":  fmt.Sprintf("module stranger.example/outside\n%s\nrequire auditmesh v0.0.0\n\nreplace auditmesh => %s\n", requires, tree),
		"go.sum":  string(sums),
		"main.go": string(program),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("go", "build", "-o", "outside", ".")
	run("go", "vet", ".")
	out := run("./outside", filepath.Join(dir, "data"))
	for _, want := range []string{"the pids add up to 44850", "proof: record 299 of 300", "300 records, 300 signed, problems []", "a failed sync: in doubt", "a node: 1 record"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

// No exported function, method, field or variable of a public package has a type
// of an internal one, which a program outside cannot name.
func TestPublicPackagesTakeNoInternalType(t *testing.T) {
	list, err := exec.Command("go", "list", "auditmesh/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var public, internal []string
	for _, pkg := range strings.Fields(string(list)) {
		switch {
		case strings.Contains(pkg, "/internal/"):
			internal = append(internal, pkg[strings.LastIndex(pkg, "/")+1:])
		case !strings.HasPrefix(pkg, "auditmesh/cmd/") && !strings.HasPrefix(pkg, "auditmesh/integration"):
			public = append(public, pkg)
		}
	}
	names := regexp.MustCompile(`\b(` + strings.Join(internal, "|") + `)\.[A-Z]\w*`)
	declared := 0
	for _, pkg := range public {
		doc, err := exec.Command("go", "doc", "-all", pkg).Output()
		if err != nil {
			t.Fatalf("%s: %v", pkg, err)
		}
		for line := range strings.Lines(string(doc)) {
			if strings.HasPrefix(line, "    ") { // a comment; go doc indents code by a tab
				continue
			}
			declared++
			code, _, _ := strings.Cut(line, "//")
			if found := names.FindString(code); found != "" {
				t.Errorf("%s: a program outside cannot name %s: %s", pkg, found, strings.TrimSpace(code))
			}
		}
	}
	if declared < 500 || len(internal) < 3 {
		t.Errorf("only %d lines of %v were looked at, for %v", declared, public, internal)
	}
}
