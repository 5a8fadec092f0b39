package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/crdt"
	"auditmesh/internal/api"
	"auditmesh/mirror"
)

// Identity is who exec acts as.
func (n *Node) Identity() api.Identity {
	return api.Identity{Node: n.id.Peer, Machine: n.id.Raw, Agent: n.cfg.Party(n.id.Raw)}
}

// Append commits events that are given as JSON objects.
func (n *Node) Append(ctx context.Context, inputs [][]byte) []api.Appended {
	defer n.appends.start()()
	return AppendInputs(ctx, n.log, inputs)
}

// AppendInputs commits the events that are in order together, and answers each.
// A nil log is disabled.
func AppendInputs(ctx context.Context, log *audit.Log, inputs [][]byte) []api.Appended {
	out := make([]api.Appended, len(inputs))
	var events []event.Event
	var index []int
	now := uint64(time.Now().UnixMilli())
	for i, in := range inputs {
		e, err := event.ParseInput(in, now)
		if err == nil {
			_, err = event.Encode(e)
		}
		if err != nil {
			err = invalid(err)
		}
		if err == nil && log == nil {
			err = api.ErrDisabled
		}
		if err == nil {
			err = log.Check(e)
		}
		if err != nil {
			out[i].Error = api.Refuse(err)
			continue
		}
		events = append(events, e)
		index = append(index, i)
	}
	if len(events) == 0 {
		return out
	}
	pos, err := log.AppendBatch(ctx, events)
	for k, i := range index {
		if err != nil {
			out[i].Error = api.Refuse(err)
			continue
		}
		out[i].Log, out[i].Seq = pos.Log.IDString(), pos.Seq+uint64(k)
	}
	return out
}

// invalid is the refusal of an event that is not one. Nothing but the event is at
// fault, whatever kind of error says so.
func invalid(err error) error {
	var field *event.FieldError
	if errors.As(err, &field) {
		return err
	}
	return &api.Refusal{Code: "invalid_event", Message: "the event " + strings.TrimPrefix(err.Error(), "the event ")}
}

// Changes are the tasks that change.
func (n *Node) Changes(ctx context.Context, f mirror.Filter, begun func() error, emit func(mirror.Change) error) error {
	return n.mirror.Changes(ctx, f, begun, emit)
}

// Tasks is a page of tasks. A page is bounded, so it is made whole for a client
// that leaves meanwhile.
func (n *Node) Tasks(ctx context.Context, q mirror.TaskQuery) (mirror.TaskPage, error) {
	if err := ctx.Err(); err != nil {
		return mirror.TaskPage{}, err
	}
	return n.mirror.Tasks(q)
}

// maxSides bounds the tasks that one request id, or its beginning, may find.
const maxSides = 64

// Task finds tasks by the beginning of their request id.
func (n *Node) Task(ctx context.Context, prefix string) ([]crdt.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return n.mirror.Task(prefix, maxSides)
}

// Peers are the members of the mesh.
func (n *Node) Peers() []api.Peer {
	list := []api.Peer{}
	if n.mesh == nil {
		return list
	}
	held := n.holdings.Offered()
	for _, p := range n.mesh.Peers() {
		out := api.Peer{ID: p.ID, Connected: p.Connected, Addresses: p.Addresses, LastSync: p.LastSync}
		theirs := make(map[merkle.LogName]uint64, len(p.Stated))
		for _, s := range p.Stated {
			theirs[s.Name] = s.Size
		}
		for _, mine := range held {
			if mine.Name.Peer == p.ID {
				out.Size += mine.Size
			}
			if have := theirs[mine.Name]; have < mine.Size {
				out.Lacks += mine.Size - have
			} else {
				out.Ahead += have - mine.Size
			}
		}
		list = append(list, out)
	}
	return list
}

// Raw writes the lines that are held of a node.
func (n *Node) Raw(ctx context.Context, node, log string, w io.Writer) error {
	if err := n.damagedOf(node, log); err != nil {
		return err
	}
	list := n.heldLogs(node, log)
	if len(list) == 0 {
		return fmt.Errorf("%w: no record of %s is held here", api.ErrNotFound, cmp.Or(node, n.id.Peer))
	}
	for _, l := range list {
		if err := copyLines(ctx, l, w); err != nil {
			return err
		}
	}
	return nil
}

func copyLines(ctx context.Context, l holdings.Log, w io.Writer) error {
	r := l.Reader(l.First())
	defer r.Close()
	for ctx.Err() == nil {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(append(slices.Clip(rec.Line), '\n')); err != nil {
			return err
		}
	}
	return ctx.Err()
}
