package node

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
)

// A data directory serves the first tasklist that it was given, over a power cut at
// any operation, and no other.
func TestOneTasklist(t *testing.T) {
	first, second := DefaultConfig("/srv"), DefaultConfig("/srv")
	first.AuditTasklistID, second.AuditTasklistID = "one", "two"
	for k := 0; ; k++ {
		d := disktest.NewDisk()
		if err := claimTasklist(d, DefaultConfig("/srv")); err != nil {
			t.Fatal(err)
		}
		if served, err := servedTasklist(d, first); served != "" || err != nil {
			t.Fatalf("without a tasklist %q is kept, %v", served, err)
		}
		ops := 0
		d.SetFail(func(disktest.Op) (error, bool) {
			if ops++; ops > k {
				d.Crash()
				return errors.New("crash"), false
			}
			return nil, false
		})
		err := claimTasklist(d, first)
		d.Restart(func() bool { return k%2 == 0 })
		if err == nil {
			if err := claimTasklist(d, second); !errors.Is(err, ErrForeignTasklist) || !strings.Contains(err.Error(), `"one", not "two"`) {
				t.Errorf("another tasklist: %v", err)
			}
			if ops == k {
				return
			}
		}
		if err := claimTasklist(d, first); err != nil {
			t.Fatalf("crash at operation %d: %v", k, err)
		}
	}
}

// What cannot work on this machine is found, and what is only odd is a warning.
func TestProbe(t *testing.T) {
	c := DefaultConfig(filepath.Join(t.TempDir(), "node"))
	c.MinFreeBytes = 0
	if f := Probe(t.Context(), c); len(f.Problems)+len(f.Warnings) > 0 || f.Node != "" {
		t.Fatalf("a new directory: %+v", f)
	}
	if _, err := (disk.OS{}).Stat(c.DataDir); err == nil {
		t.Fatal("it was made by looking")
	}
	id, err := EnsureIdentity(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.AuditTasklistID = "t"
	for name, x := range map[string]struct {
		change  func(*Config)
		problem string
		warning string
	}{
		"alone":              {func(*Config) {}, "", "nobody but this node"},
		"own id is missing":  {func(c *Config) { c.Members = []string{memberA} }, "own id " + id.Peer + " is missing", ""},
		"nobody finds it":    {func(c *Config) { c.Members = []string{memberA, id.Peer} }, "", "nobody finds it"},
		"not a member":       {func(c *Config) { c.Bootstrap = []string{"/ip4/192.0.2.1/tcp/1/p2p/" + memberA} }, "add " + memberA + " to members", ""},
		"another's address":  {func(c *Config) { c.Listen = []string{"/ip4/192.0.2.1/udp/7946/quic-v1"} }, "cannot be listened on", ""},
		"log is a directory": {func(c *Config) { p := "."; c.AuditLogPath = &p }, "is not a file", ""},
		"log below a file":   {func(c *Config) { p := "identity.key/audit.jsonl"; c.AuditLogPath = &p }, "identity.key is not a directory", ""},
		"file to follow":     {func(c *Config) { c.AuditFollowPath = "/no/such/dir/x.jsonl" }, "its directory cannot be used", "is waited for"},
		"floor above disk":   {func(c *Config) { c.MinFreeBytes = maxFree }, "min_free_bytes: the log's disk has", ""},
		"segment above disk": {func(c *Config) { c.SegmentBytes = maxFree }, "no segment", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := c
			x.change(&c)
			f := Probe(t.Context(), c)
			has := func(list []string, want string) bool {
				return want == "" || slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, want) })
			}
			if !has(f.Problems, x.problem) || !has(f.Warnings, x.warning) || x.problem == "" && len(f.Problems) > 0 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// The log is free when the node is closed, although the view never opened; a node
// that runs already, or was refused, leaves the log to others.
func TestCloseFreesTheLog(t *testing.T) {
	c := DefaultConfig(t.TempDir())
	for range 2 {
		n, err := Open(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if out := n.Append(t.Context(), [][]byte{[]byte(`{"event":"x-a"}`)}); out[0].Err() != nil {
			t.Error(out[0].Err())
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	refused := c
	refused.AuditTasklistID = "t"
	refused.Members = []string{"nobody"}
	if _, err := Open(t.Context(), refused, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("a member that is none")
	}
	id, err := EnsureIdentity(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := OpenLog(c, id, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if l.Size() != 2 {
		t.Errorf("%d records", l.Size())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
