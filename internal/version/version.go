// Package version says which build of the program this is, from what the Go
// toolchain wrote into it.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Info is what is known about a build. What version control would have said is
// nil or empty where the program was built without it.
type Info struct {
	// Version is the module's version: a tag, a pseudo-version that is made from
	// the commit, or "devel".
	Version string `json:"version"`
	// Commit is the whole commit id, and CommitTime when it was made, in RFC 3339.
	Commit     string `json:"commit,omitempty"`
	CommitTime string `json:"commit_time,omitempty"`
	// Modified says whether the files differed from the commit. Nil: not known.
	Modified *bool  `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Read is this program's. It reads memory only.
func Read() Info {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		b = new(debug.BuildInfo)
	}
	return from(b)
}

func from(b *debug.BuildInfo) Info {
	i := Info{Version: b.Main.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if i.Version == "" || i.Version == "(devel)" {
		i.Version = "devel"
	}
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Commit = s.Value
		case "vcs.time":
			i.CommitTime = s.Value
		case "vcs.modified":
			modified := s.Value == "true"
			i.Modified = &modified
		}
	}
	return i
}

// String is one line for people.
func (i Info) String() string {
	commit := "commit unknown: built without version control"
	if i.Commit != "" {
		commit = "commit " + i.Commit
		if i.CommitTime != "" {
			commit += " of " + i.CommitTime
		}
		if i.Modified != nil && *i.Modified {
			commit += ", with changes that are not committed"
		}
	}
	return fmt.Sprintf("%s (%s; %s, %s)", i.Version, commit, i.Go, i.Platform)
}
