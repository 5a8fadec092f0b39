package node

import (
	"context"
	"fmt"
	"time"

	"auditmesh/audit/event"
	"auditmesh/crdt"
	"auditmesh/internal/api"
	"auditmesh/mirror"
)

// Review records an act of review in the own log. What it takes the place of is
// what this node sees now; what others did at the same time stays beside it.
func (n *Node) Review(ctx context.Context, act api.Review) (api.Appended, error) {
	if n.log == nil {
		return api.Appended{}, api.ErrDisabled
	}
	task, err := n.reviewable(act)
	if err != nil {
		return api.Appended{}, err
	}
	e, err := reviewEvent(act, task)
	if err != nil {
		return api.Appended{}, err
	}
	pos, err := n.log.Append(ctx, e)
	return api.Appended{Log: pos.Log.IDString(), Seq: pos.Seq}, err
}

// reviewable is the one task that an act is about.
func (n *Node) reviewable(act api.Review) (t mirror.Reviewable, err error) {
	list, err := n.mirror.Reviewables(act.Request, act.Field, maxSides)
	if err != nil {
		return t, err
	}
	found := 0
	for _, r := range list {
		if act.Node == "" || act.Node == r.Key.Node {
			found++
			t = r
		}
	}
	switch found {
	case 1:
		return t, nil
	case 0:
		return t, fmt.Errorf("%w: no task has a request id that begins with %s", api.ErrNotFound, act.Request)
	default:
		return t, &api.Refusal{Code: "ambiguous", Message: fmt.Sprintf("%d tasks have a request id that begins with %s: give more of it, or the node", found, act.Request)}
	}
}

func reviewEvent(act api.Review, t mirror.Reviewable) (event.Event, error) {
	now := uint64(time.Now().UnixMilli())
	id := event.RequestID(t.Key.Request)
	switch act.Action {
	case "claim", "done":
		return &event.Reviewed{Completed: act.Action == "done", TSUnixMS: now, Node: t.Key.Node, RequestID: id, By: act.By}, nil
	case "release":
		if len(t.Marks) == 0 {
			return nil, &api.Refusal{Code: "nothing_to_release", Message: "nobody has claimed or completed the review of this task"}
		}
		return &event.TaskReleased{TSUnixMS: now, Node: t.Key.Node, RequestID: id, By: act.By, Replaces: auditDots(t.Marks)}, nil
	case "note":
		return &event.TaskNoted{TSUnixMS: now, Node: t.Key.Node, RequestID: id, By: act.By, Field: act.Field, Value: act.Value, Replaces: auditDots(t.Writes)}, nil
	default:
		return nil, &api.Refusal{Code: "bad_request", Field: "action", Message: fmt.Sprintf("%q is not claim, done, release or note", act.Action)}
	}
}

func auditDots(list []crdt.Dot) []event.Dot {
	out := make([]event.Dot, len(list))
	for i, d := range list {
		out[i] = event.Dot{Node: d.Node, Log: d.ID, Seq: d.Seq}
	}
	return out
}
