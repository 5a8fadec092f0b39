package gossip

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A library's warnings are in the node's log, in its form, with what the library
// calls itself; what it says more often is not, whatever the node's own level.
func TestLibraryHandler(t *testing.T) {
	var out bytes.Buffer
	own := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l := slog.New(LibraryHandler(own)).With("logger", "swarm2").WithGroup("dial")
	l.Debug("quiet")
	l.Info("quiet")
	l.Warn("heard", "peer", "x")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "level=WARN msg=heard logger=swarm2 dial.peer=x") {
		t.Errorf("logged %q", got)
	}
	silent := slog.New(LibraryHandler(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}))))
	out.Reset()
	if silent.Warn("quiet"); out.Len() > 0 {
		t.Errorf("a node that says errors alone said %q", out.String())
	}
}
