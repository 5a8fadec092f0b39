package rows

import (
	"fmt"

	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/crdt"
)

// Operation is what a record does to the view, false if nothing.
func Operation(log crdt.Log, seq uint64, e event.Event) (crdt.Op, bool) {
	op := crdt.Op{Dot: crdt.Dot{Log: log, Seq: seq}, Time: e.Time()}
	own := func(id event.RequestID) { op.Task = crdt.TaskKey{Node: log.Node, Request: id} }
	switch e := e.(type) {
	case *event.Request:
		own(e.RequestID)
		op.Body = crdt.Request{Agent: e.AgentID, Machine: e.MachineID, Argv: e.Argv, MatchedACL: e.MatchedACL, StdinBytes: e.StdinBytes, TimeoutMS: e.TimeoutMS}
	case *event.Started:
		own(e.RequestID)
		op.Body = crdt.Started{PID: e.PID}
	case *event.Warning:
		own(e.RequestID)
		op.Body = crdt.Warning{Kind: e.Kind, Bytes: e.Bytes}
	case *event.Exit:
		own(e.RequestID)
		op.Body = crdt.Exit{Code: e.Code, Signal: e.Signal, DurationMS: e.DurationMS, StdoutBytes: e.StdoutBytes, StderrBytes: e.StderrBytes, Truncated: e.Truncated}
	case *event.Denial:
		own(e.RequestID)
		op.Body = crdt.Denial{Agent: e.AgentID, Machine: e.MachineID, Argv: e.Argv, Reason: e.Reason}
	case *event.Application:
		if !e.HasRequest {
			return op, false
		}
		own(e.RequestID)
		op.Body = crdt.Application{Name: e.EventName}
	default:
		return meshOperation(op, log, e)
	}
	return op, true
}

func meshOperation(op crdt.Op, log crdt.Log, e event.Event) (crdt.Op, bool) {
	switch e := e.(type) {
	case *event.TaskRemoved:
		removal := crdt.Removal{Reason: e.Reason}
		if e.RequestID != nil {
			op.Task = crdt.TaskKey{Node: log.Node, Request: *e.RequestID}
		}
		for _, r := range e.Ranges {
			removal.Ranges = append(removal.Ranges, crdt.Range{Log: crdt.Log{Node: log.Node, ID: r.Log}, First: r.First, End: r.End})
		}
		op.Body = removal
	case *event.Reviewed:
		op.Task = crdt.TaskKey{Node: e.Node, Request: e.RequestID}
		op.Body = crdt.Review{Completed: e.Completed, By: e.By}
	case *event.TaskReleased:
		op.Task = crdt.TaskKey{Node: e.Node, Request: e.RequestID}
		op.Body = crdt.Release{By: e.By, Replaces: dots(e.Replaces)}
	case *event.TaskNoted:
		op.Task = crdt.TaskKey{Node: e.Node, Request: e.RequestID}
		op.Body = crdt.Note{By: e.By, Field: e.Field, Value: e.Value, Replaces: dots(e.Replaces)}
	case *event.LogSucceeded:
		op.Body = crdt.Succession{Old: crdt.Log{Node: log.Node, ID: e.Log}}
	default:
		return op, false
	}
	return op, true
}

func dots(list []event.Dot) []crdt.Dot {
	out := make([]crdt.Dot, len(list))
	for i, d := range list {
		out[i] = crdt.Dot{Log: crdt.Log{Node: d.Node, ID: d.Log}, Seq: d.Seq}
	}
	return out
}

// LogOf is the name of a log as package crdt has it.
func LogOf(name merkle.LogName) crdt.Log { return crdt.Log{Node: name.Peer, ID: name.ID} }

// NameOf is the name of a log as package audit has it.
func NameOf(l crdt.Log) merkle.LogName { return merkle.LogName{Peer: l.Node, ID: l.ID} }

// decodeLine makes the operation of a row's line again.
func decodeLine(log crdt.Log, seq uint64, line []byte) (crdt.Op, error) {
	e, err := event.Decode(line)
	if err != nil {
		return crdt.Op{}, fmt.Errorf("the view holds a line that does not decode: %w", err)
	}
	op, ok := Operation(log, seq, e)
	if !ok {
		return crdt.Op{}, fmt.Errorf("the view holds a line of event %q, which is no operation", e.Name())
	}
	return op, nil
}
