package node

import (
	"context"
	"encoding/hex"
	"math"
	"os"
	"time"

	"auditmesh/audit/merkle"
	"auditmesh/crdt"
	"auditmesh/gossip"
	"auditmesh/internal/api"
	"auditmesh/internal/version"
	"auditmesh/mirror"
)

// Vitals is what health rests on. It is in memory.
func (n *Node) Vitals() api.Status {
	st := api.Status{
		Node: n.id.Peer, Version: version.Read().Version, PID: os.Getpid(), DataDir: n.cfg.DataDir, Started: n.started.UnixMilli(),
		Tasklist: n.cfg.AuditTasklistID, State: "ok", Addresses: []string{}, Vector: map[string]api.Held{},
	}
	n.logVitals(&st)
	if n.follower != nil {
		follow := n.follower.Status()
		st.Follow = &follow
	}
	if n.holdings == nil {
		return st
	}
	st.Damaged, st.Troubles = n.holdings.Damaged(), n.troubles()
	if c := n.holdings.Conflicts(); len(c) > 0 {
		st.Conflicts = make(map[string]int, len(c))
		for name, k := range c {
			st.Conflicts[name.String()] = k
		}
	}
	return st
}

func (n *Node) logVitals(st *api.Status) {
	if n.log == nil {
		st.Disabled, st.State = true, "disabled"
		return
	}
	st.LogPath, st.Size, st.WriteFailures, st.LastFailure = n.log.Path(), n.log.Size(), n.log.WriteFailures(), n.log.LastFailure()
	space := n.log.Space()
	st.FreeBytes, st.MinFreeBytes, st.SpaceLow = space.Free, space.Floor, space.Low
	if err := n.log.Err(); err != nil {
		st.State = err.Error()
	}
}

// Status is the node's status. It waits for no commit, of the log or of the view;
// deep goes through the whole view, until ctx ends.
func (n *Node) Status(ctx context.Context, deep bool) (api.Status, error) {
	st := n.Vitals()
	if n.log != nil {
		st.Signed = n.log.SignedSize()
		if name, ok := n.log.Name(); ok {
			st.Log = name.IDString()
			if root, err := n.log.RootAt(st.Size); err == nil {
				st.Root = root.String()
			}
		}
	}
	st.Rebuilds = n.mirror.Rebuilds()
	peers := n.meshStatus(&st)
	var view mirror.Status
	var err error
	if deep {
		var hash merkle.Hash
		var tasks uint64
		view, hash, tasks, err = n.mirror.Deep(ctx)
		st.ViewHash, st.Tasks, st.FoldVersion = hex.EncodeToString(hash[:]), &tasks, crdt.FoldVersion
	} else {
		view, err = n.mirror.Status()
	}
	if err != nil {
		return st, err
	}
	st.Digest, st.Holdings = hex.EncodeToString(view.Digest[:]), hex.EncodeToString(view.Holdings[:])
	now := n.now()
	for _, l := range view.Logs {
		st.Unfolded += l.Size - min(l.Size, l.Folded)
		h := api.Held{First: l.First, Size: l.Folded, Stored: l.Size, Signed: l.Signed, Unreadable: l.Unreadable, Unknown: l.Unknown}
		spread(&h, l, peers, now)
		skew(&h, l, now)
		st.Vector[l.Name.String()] = h
	}
	return st, nil
}

// spread says how widely a log is held, and how far the view is behind.
func spread(h *api.Held, l mirror.LogStatus, peers []gossip.Peer, now time.Time) {
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
		h.LagMS = uint64(max(0, now.UnixMilli()-int64(min(l.LastTime, 1<<62))))
	}
}

// skew compares the times that a log's records have with this node's clock: the
// greatest with now, and the last with when it came.
func skew(h *api.Held, l mirror.LogStatus, now time.Time) {
	h.LastTime, h.AheadMS = l.LastTime, api.Ahead(l.Most, now)
	if l.Received.IsZero() {
		return
	}
	h.Received = uint64(max(0, l.Received.UnixMilli()))
	if behind := h.Received - min(l.LastTime, h.Received); behind > uint64(api.SkewAfter.Milliseconds()) {
		h.BehindMS = behind
	}
}

// meshStatus fills in the mesh, and returns its members.
func (n *Node) meshStatus(st *api.Status) []gossip.Peer {
	if n.mesh == nil {
		return nil
	}
	st.Published = min(n.mesh.Published(), st.Signed) // which was read before
	st.Addresses, st.Counters = append(st.Addresses, n.mesh.Addresses()...), n.mesh.Counters().Snapshot()
	peers := n.mesh.Peers()
	for _, p := range peers {
		st.Members++
		if p.Connected {
			st.Peers++
		}
	}
	return peers
}
