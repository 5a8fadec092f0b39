package node

import (
	"context"
	"fmt"
	"time"

	"auditmesh/audit/event"
	"auditmesh/internal/api"
)

// Remove retires tasks of this node from the shared view, by one record in its
// log: a task by its request id, or all records before a time, as a range of each
// of the node's logs. What is not covered, such as an outcome that comes later, is
// never hidden by it; the lines stay where they are.
func (n *Node) Remove(ctx context.Context, r api.Removal) (out api.Removed, err error) {
	if n.log == nil {
		return out, api.ErrDisabled
	}
	e := &event.TaskRemoved{TSUnixMS: uint64(time.Now().UnixMilli()), Reason: r.Reason}
	switch {
	case (r.Request == "") == (r.Before == 0):
		return out, &api.Refusal{Code: "bad_request", Message: "give the request id of a task, or a time before which all are removed"}
	case r.Request != "":
		e.RequestID, err = n.ownTask(r.Request)
	default:
		e.Ranges, err = n.before(r.Before)
	}
	if err != nil {
		return out, err
	}
	pos, err := n.log.Append(ctx, e)
	return api.Removed{Appended: api.Appended{Log: pos.Log.IDString(), Seq: pos.Seq}, Ranges: e.Ranges}, err
}

// ownTask is the one task of this node whose request id begins so.
func (n *Node) ownTask(prefix string) (*event.RequestID, error) {
	items, err := n.mirror.Task(prefix, maxSides)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, it := range items {
		if it.Node == n.id.Peer {
			found = append(found, it.RequestID)
		}
	}
	switch {
	case len(found) == 1:
		id, err := event.ParseRequestID(found[0])
		return &id, err
	case len(found) == 0 && len(items) > 0:
		return nil, &api.Refusal{Code: "not_own", Message: "a node removes tasks of its own alone; this one is of " + items[0].Node}
	case len(found) == 0:
		return nil, fmt.Errorf("%w: no task has a request id that begins with %s", api.ErrNotFound, prefix)
	}
	return nil, &api.Refusal{Code: "ambiguous", Message: fmt.Sprintf("%d tasks of this node have a request id that begins with %s: give more of it", len(found), prefix)}
}

// before are the ranges of the node's logs that end at the first record that is
// not before a time.
func (n *Node) before(ms uint64) (list []event.SeqRange, err error) {
	for _, l := range n.heldLogs("", "") {
		end, err := l.SeekTime(ms)
		if err != nil {
			return nil, err
		}
		if name, _ := l.Name(); end > l.First() {
			list = append(list, event.SeqRange{Log: event.PartyID(name.ID), First: l.First(), End: end})
		}
	}
	if len(list) == 0 {
		return nil, &api.Refusal{Code: "nothing_to_remove", Message: "this node has no record before that time"}
	}
	return list, nil
}
