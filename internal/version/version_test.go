package version

import (
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

func settings(pairs ...string) (list []debug.BuildSetting) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
	}
	return list
}

func TestInfo(t *testing.T) {
	const id, when = "7a3c2ff94888a8bd1b4b8a9dd8a3a0d6c0ffee00", "2026-11-25T01:36:57Z"
	for _, c := range []struct {
		name       string
		info       debug.BuildInfo
		text, json string // parts of both
	}{
		{
			"of a commit",
			debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: settings("vcs", "git", "vcs.revision", id, "vcs.time", when, "vcs.modified", "false")},
			"v1.2.3 (commit " + id + " of " + when + "; go", `"version":"v1.2.3","commit":"` + id + `","commit_time":"` + when + `","modified":false,`,
		},
		{
			"of changed files",
			debug.BuildInfo{Main: debug.Module{Version: "v1.2.3+dirty"}, Settings: settings("vcs.revision", id, "vcs.time", when, "vcs.modified", "true")},
			"v1.2.3+dirty (commit " + id + " of " + when + ", with changes that are not committed; go", `"modified":true,`,
		},
		{
			"without version control",
			debug.BuildInfo{Main: debug.Module{Version: "(devel)"}},
			"devel (commit unknown: built without version control; go", `{"version":"devel","modified":null,`,
		},
	} {
		i := from(&c.info)
		if got := i.String(); !strings.HasPrefix(got, c.text) {
			t.Errorf("%s: %q does not begin with %q", c.name, got, c.text)
		}
		raw, err := json.Marshal(i)
		if err != nil || !strings.Contains(string(raw), c.json) {
			t.Errorf("%s: %s does not contain %s (%v)", c.name, raw, c.json, err)
		}
	}
}

// A test program has build information too, if none of version control.
func TestRead(t *testing.T) {
	if i := Read(); i.Version == "" || !strings.HasPrefix(i.Go, "go1.") || !strings.Contains(i.Platform, "/") {
		t.Errorf("%+v", i)
	}
}
