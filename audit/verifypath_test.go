package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Verify says when the log's path leads to another file than the log's own, as
// after `sed -i`, and not where a copied directory has two files of one content.
func TestVerifyOfAForeignPath(t *testing.T) {
	for name, c := range map[string]struct {
		replace func(lines []byte) []byte
		problem bool
	}{
		"a line edited":           {func(l []byte) []byte { return []byte(strings.Replace(string(l), `"pid":3`, `"pid":4`, 1)) }, true},
		"something else":          {func([]byte) []byte { return []byte("a note\n") }, true},
		"a copy":                  {func(l []byte) []byte { return l }, false},
		"an earlier state":        {func(l []byte) []byte { return l[:len(l)/2] }, false},
		"emptied, as by rotation": {func([]byte) []byte { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, 1)
			l := openLog(t, o)
			appendN(t, l, 0, 9)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			lines, err := os.ReadFile(o.Path)
			if err != nil {
				t.Fatal(err)
			}
			tmp := filepath.Join(t.TempDir(), "edited")
			if err := os.WriteFile(tmp, c.replace(lines), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(tmp, o.Path); err != nil {
				t.Fatal(err)
			}
			rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath})
			if err != nil {
				t.Fatal(err)
			}
			if found := len(rep.Problems) > 0; found != c.problem {
				t.Errorf("problems: %q", rep.Problems)
			}
			if c.problem && !strings.Contains(rep.Problems[0], "another file stands at the log's path") {
				t.Errorf("it says %q", rep.Problems)
			}
		})
	}
}

// Fault 49: data of a later version are refused with words that say what to do.
func TestLaterVersionIsRefused(t *testing.T) {
	for _, c := range []struct{ glob, from, to string }{
		{"state/last-signed.json", `"version":1`, `"version":9`},
		{"log/*.segment", `"version": 2`, `"version": 9`},
	} {
		o := testOptions(t, 1)
		l := openLog(t, o)
		appendN(t, l, 0, 3)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		path := mustGlob(t, filepath.Join(filepath.Dir(filepath.Dir(o.Path)), c.glob))[0]
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		newer := strings.Replace(string(raw), c.from, c.to, 1)
		if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "has version 9") || !strings.Contains(err.Error(), "a newer auditmesh wrote it: use that one") {
			t.Errorf("%s: %v", c.glob, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != newer {
			t.Errorf("%s was changed: %v", path, err)
		}
	}
}
