package node

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/crdt"
	"auditmesh/gossip"
	"auditmesh/internal/api"
	"auditmesh/mirror"
)

// Identity is who exec acts as.
func (n *Node) Identity() api.Identity {
	return api.Identity{Node: n.id.Peer, Machine: n.id.Raw, Agent: n.cfg.Party(n.id.Raw)}
}

// Append commits events that are given as JSON objects.
func (n *Node) Append(ctx context.Context, inputs [][]byte) []api.Appended {
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

// Status is the node's status.
func (n *Node) Status(deep bool) (api.Status, error) {
	st := api.Status{
		Node: n.id.Peer, Version: Version, PID: os.Getpid(), DataDir: n.cfg.DataDir, Started: n.started.UnixMilli(),
		Tasklist: n.cfg.AuditTasklistID, State: "ok", Addresses: []string{}, Vector: map[string]api.Held{},
		Rebuilds: n.mirror.Rebuilds(), Damaged: n.holdings.Damaged(),
	}
	n.logStatus(&st)
	if n.follower != nil {
		follow := n.follower.Status()
		st.Follow = &follow
	}
	n.meshStatus(&st)
	var view mirror.Status
	var err error
	if deep {
		var hash merkle.Hash
		var tasks uint64
		view, hash, tasks, err = n.mirror.Deep()
		st.ViewHash, st.Tasks, st.FoldVersion = hex.EncodeToString(hash[:]), &tasks, crdt.FoldVersion
	} else {
		view, err = n.mirror.Status()
	}
	if err != nil {
		return st, err
	}
	st.Digest, st.Holdings = hex.EncodeToString(view.Digest[:]), hex.EncodeToString(view.Holdings[:])
	var peers []gossip.Peer
	if n.mesh != nil {
		peers = n.mesh.Peers()
	}
	for _, l := range view.Logs {
		st.Unfolded += l.Size - min(l.Size, l.Folded)
		h := api.Held{First: l.First, Size: l.Folded, Stored: l.Size, Signed: l.Signed, Unreadable: l.Unreadable, Unknown: l.Unknown}
		spread(&h, l, peers)
		st.Vector[l.Name.String()] = h
	}
	return st, nil
}

// spread says how widely a log is held, and how far the view is behind.
func spread(h *api.Held, l mirror.LogStatus, peers []gossip.Peer) {
	known, next := l.Size, uint64(math.MaxUint64)
	for _, p := range peers {
		for _, s := range p.Stated {
			if s.Name != l.Name {
				continue
			}
			known = max(known, s.Size)
			if s.Size > l.Size {
				next = min(next, s.First)
			}
			if s.Size >= l.Signed && l.Signed > 0 && p.ID != l.Name.Peer {
				h.HeldBy++
			}
		}
	}
	if known > l.Size && next > l.Size {
		h.Missing = next - l.Size
	}
	if known > l.Folded {
		h.LagRecords = known - l.Folded
		h.LagMS = uint64(max(0, time.Now().UnixMilli()-int64(min(l.LastTime, 1<<62))))
	}
}

func (n *Node) logStatus(st *api.Status) {
	if n.log == nil {
		st.Disabled, st.State = true, "disabled"
		return
	}
	st.LogPath, st.Size, st.Signed, st.WriteFailures = n.log.Path(), n.log.Size(), n.log.SignedSize(), n.log.WriteFailures()
	if name, ok := n.log.Name(); ok {
		st.Log = name.IDString()
		if root, err := n.log.RootAt(st.Size); err == nil {
			st.Root = root.String()
		}
	}
	st.LastFailure = n.log.LastFailure()
	space := n.log.Space()
	st.FreeBytes, st.MinFreeBytes, st.SpaceLow = space.Free, space.Floor, space.Low
	if err := n.log.Err(); err != nil {
		st.State = err.Error()
	}
}

func (n *Node) meshStatus(st *api.Status) {
	if c := n.holdings.Conflicts(); len(c) > 0 {
		st.Conflicts = make(map[string]int, len(c))
		for name, k := range c {
			st.Conflicts[name.String()] = k
		}
	}
	if n.mesh == nil {
		return
	}
	st.Published = min(n.mesh.Published(), st.Signed) // which was read before
	st.Addresses, st.Counters = append(st.Addresses, n.mesh.Addresses()...), n.mesh.Counters().Snapshot()
	for _, p := range n.mesh.Peers() {
		st.Members++
		if p.Connected {
			st.Peers++
		}
	}
}

// Changes are the tasks that change.
func (n *Node) Changes(ctx context.Context, f mirror.Filter, begun func() error, emit func(mirror.Change) error) error {
	return n.mirror.Changes(ctx, f, begun, emit)
}

// Tasks is a page of tasks.
func (n *Node) Tasks(q mirror.TaskQuery) (mirror.TaskPage, error) { return n.mirror.Tasks(q) }

// maxSides bounds the tasks that one request id, or its beginning, may find.
const maxSides = 64

// Task finds tasks by the beginning of their request id.
func (n *Node) Task(prefix string) ([]crdt.Item, error) { return n.mirror.Task(prefix, maxSides) }

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
