package gossip

import (
	"context"
	"log/slog"
)

// LibraryHandler takes the messages of libp2p and pubsub to a node's own log, in
// its form, from a warning on. What they say more often tells of connections that
// come and go, which the mesh says itself. libp2p has one handler a process, so
// the program sets it: gologshim.SetDefaultHandler.
func LibraryHandler(to *slog.Logger) slog.Handler { return libraryHandler{to.Handler()} }

type libraryHandler struct{ slog.Handler }

func (h libraryHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h libraryHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryHandler{h.Handler.WithAttrs(attrs)}
}

func (h libraryHandler) WithGroup(name string) slog.Handler {
	return libraryHandler{h.Handler.WithGroup(name)}
}
