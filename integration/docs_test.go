package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the pages for people, from the top of the tree.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil || len(paths) < 6 {
		t.Fatalf("%v, %v", paths, err)
	}
	all := map[string]string{}
	for _, path := range append(paths, "../README.md", "../CONTRIBUTING.md") {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = string(raw)
	}
	return all
}

// testsOf maps each test, fuzz target and script to the directories of the packages
// that have it.
func testsOf(t *testing.T) map[string][]string {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
	tests := map[string][]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		dir := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")
		switch filepath.Ext(path) {
		case ".txtar":
			tests[d.Name()] = append(tests[d.Name()], strings.TrimSuffix(dir, "/testdata"))
		case ".go":
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range declared.FindAllStringSubmatch(string(raw), -1) {
				tests[m[1]] = append(tests[m[1]], dir)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// Each test that a page names as its evidence is there, in the package that the
// page says: a name without a package before it is of the one before it.
func TestPagesNameTestsThatExist(t *testing.T) {
	tests := testsOf(t)
	word := regexp.MustCompile("`([a-z/]+)`|\\b((?:Test|Fuzz)[A-Z]\\w*)|\\b(\\w+\\.txtar)")
	named := 0
	for path, text := range pages(t) {
		for n, line := range strings.Split(text, "\n") {
			in := ""
			for _, m := range word.FindAllStringSubmatch(line, -1) {
				if m[1] != "" {
					if info, err := os.Stat(filepath.Join("..", filepath.FromSlash(m[1]))); err == nil && info.IsDir() {
						in = m[1]
					}
					continue
				}
				named++
				name := m[2] + m[3]
				where := tests[name]
				if len(where) == 0 {
					t.Errorf("%s:%d names %s, which is nowhere", path, n+1, name)
				} else if in != "" && strings.HasPrefix(line, "|") && !slices.Contains(where, in) {
					t.Errorf("%s:%d says that %s is in %s; it is in %v", path, n+1, name, in, where)
				}
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d names were looked at", named)
	}
}

// Each link of a page to a file of the tree leads there.
func TestPagesLinkToFilesThatExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	looked := 0
	for path, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			looked++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			}
		}
	}
	if looked < 10 {
		t.Errorf("only %d links were looked at", looked)
	}
}

// Each file of the tree that CONTRIBUTING names is there, and so is the function
// or type that it names beside a file.
func TestContributingNamesFilesThatExist(t *testing.T) {
	text := pages(t)["../CONTRIBUTING.md"]
	file := regexp.MustCompile("`([a-z/_]+\\.(?:go|md|proto))`(?:, `([A-Za-z]\\w*)`)?")
	looked := 0
	for _, m := range file.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "/") {
			continue
		}
		looked++
		raw, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(m[1])))
		if err != nil {
			t.Error(err)
		} else if m[2] != "" && !regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type )`+m[2]+`\b`).Match(raw) {
			t.Errorf("%s does not declare %s", m[1], m[2])
		}
	}
	if looked < 30 {
		t.Errorf("only %d files were looked at", looked)
	}
}
