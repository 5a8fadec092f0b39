// Package auditmesh is the front door: a node of the audit mesh as a value, for
// programs that embed one. It does what `auditmesh run` does, in another process.
//
// Open makes or opens a node in a data directory, Run runs it, Append commits an
// event, Close frees its files. Status says whether all is well.
//
//	n, err := auditmesh.Open(ctx, auditmesh.Options{DataDir: dir})
//	if err != nil { … }
//	ended := make(chan error, 1)
//	go func() { ended <- n.Run(ctx) }()
//	_, err = n.Append(ctx, []byte(`{"event":"x-deploy","version":"1.2.3"}`))
//
// # Why it is this small
//
// The data directory is the interface. Its config.toml configures an embedded
// node as it does any other, so there is one set of keys, checked in one place,
// and each `auditmesh` command works on the directory of an embedded node too: it
// asks the node through the socket, or checks its files. What else a program may
// want it finds there: tasks, records, proofs and removals over HTTP on api.sock,
// files to read with package audit, proofs to check with package audit/merkle. A
// program that wants a log without a mesh needs this package as little: package
// audit is that.
//
// An event is given as JSON, as `auditmesh append` takes it. event.Encode makes
// that from the types of package audit/event.
//
// The package sets nothing that is global to the process. `auditmesh run` does
// two things more, which an embedding program decides for itself: it sets a limit
// for memory (GOMEMLIMIT, 400 MiB), and it ignores SIGXFSZ, so that a limit of
// file sizes is a write that fails.
//
// # Concurrency
//
// All methods may be called at the same time, but for Close, which comes last.
package auditmesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"auditmesh/audit"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/internal/api"
	"auditmesh/internal/node"
)

// Options says which node is meant. Only DataDir is needed.
type Options struct {
	// DataDir is the node's data directory: identity, config.toml, log, copies,
	// view and socket. What is missing is made, but for the configuration, whose
	// absence means the defaults.
	DataDir string
	// Logger takes the node's own messages, of the levels that it lets through;
	// log_level is for `auditmesh run` alone. Nil: they go nowhere.
	Logger *slog.Logger
}

// Node is a node of the audit mesh. Open makes it.
type Node struct {
	node *node.Node
}

// Open opens the node in a data directory, with its lock, recovers its log from
// an unclean end, and listens nowhere yet. ctx bounds the opening alone. While an
// `append` or `exec` has the log, Open waits for at most 30 seconds.
//
// errors.Is(err, audit.ErrLocked) if another process still has the log, as a node
// that runs there has.
func Open(ctx context.Context, o Options) (*Node, error) {
	if o.DataDir == "" {
		return nil, errors.New("auditmesh: Options.DataDir is empty: name the node's data directory")
	}
	cfg, err := node.LoadConfig(o.DataDir, "")
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	n, err := node.Open(ctx, cfg, o.Logger)
	if err != nil {
		return nil, err
	}
	return &Node{n}, nil
}

// Run signs, mirrors, answers the socket and meets the mesh until ctx ends, and
// returns nil then. It is called once.
func (n *Node) Run(ctx context.Context) error { return n.node.Run(ctx) }

// Append commits one event, a JSON object, and returns its place only after it is
// durable. It works from Open to Close, whether or not Run runs. An event without
// "ts_unix_ms" is given the time of now.
//
// An event that does not fit the format is refused with a *event.FieldError.
// errors.Is tells the others: audit.ErrInDoubt if the record may or may not be
// there; audit.ErrPoisoned, audit.ErrOverloaded and audit.ErrClosed if nothing
// was written.
func (n *Node) Append(ctx context.Context, object []byte) (audit.Position, error) {
	done := n.node.Append(ctx, [][]byte{object})[0]
	if r := done.Error; r != nil && r.Field != "" {
		return audit.Position{}, &event.FieldError{Field: r.Field, Reason: strings.TrimPrefix(r.Message, fmt.Sprintf("field %q: ", r.Field))}
	}
	if err := done.Err(); err != nil {
		return audit.Position{}, err
	}
	id, err := merkle.ParseLogID(done.Log)
	return audit.Position{Log: merkle.LogName{Peer: n.node.Identity().Node, ID: id}, Seq: done.Seq}, err
}

// Status is what a program looks at to know whether its node is well. `auditmesh
// status` and /v1/status say more.
type Status struct {
	// Peer is the node's peer id, by which others name it as a member.
	Peer string
	// Addresses are those at which members reach it, each with /p2p/<peer id>.
	Addresses []string
	// Records is the size of the own log. Signed of them are under a checkpoint:
	// they can be proven, and are sent to members.
	Records, Signed uint64
	// Trouble says why nothing can be appended now; empty if all is well.
	Trouble string
	// Members is how many other members the configuration names. Connected of them
	// are connected.
	Members, Connected int
}

// Status is the node's state now. It ends with ctx.
func (n *Node) Status(ctx context.Context) (Status, error) {
	st, err := n.node.Status(ctx, false)
	return statusOf(st), err
}

func statusOf(st api.Status) Status {
	out := Status{
		Peer: st.Node, Addresses: st.Addresses, Records: st.Size, Signed: st.Signed, Members: st.Members, Connected: st.Peers,
	}
	if st.State != "ok" {
		out.Trouble = st.State
	}
	return out
}

// Close commits what waits, signs, and frees the files and the lock. Run must have
// returned.
func (n *Node) Close() error { return n.node.Close() }
