// Package crdttest has random operations and schedules, and a naive model of what
// they must show. Every [crdt.Store] is to be tested with them: the one in memory,
// and the mirror's rows.
package crdttest

import (
	"fmt"

	"pgregory.net/rapid"

	"auditmesh/crdt"
)

// nodes are few, as are logs, tasks and times, so that everything collides. They
// are peer ids, since a line that names a node is refused without one.
func nodes() []string {
	return []string{
		"12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq",
		"12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
		"12D3KooWRndVhVZPCiQwHBBBdg769GyrPUW13zxwqQyf9r3ANaba",
	}
}

func drawLog(t *rapid.T, label string) crdt.Log {
	return crdt.Log{Node: rapid.SampledFrom(nodes()).Draw(t, label+" node"), ID: [32]byte{rapid.ByteRange(1, 2).Draw(t, label+" log")}}
}

func drawDot(t *rapid.T, label string) crdt.Dot {
	return crdt.Dot{Log: drawLog(t, label), Seq: rapid.Uint64Range(0, 8).Draw(t, label+" seq")}
}

func drawKey(t *rapid.T, node string) crdt.TaskKey {
	return crdt.TaskKey{Node: node, Request: [16]byte{rapid.ByteRange(1, 2).Draw(t, "request")}}
}

func drawRange(t *rapid.T) crdt.Range {
	first := rapid.Uint64Range(0, 8).Draw(t, "first")
	return crdt.Range{Log: drawLog(t, "range"), First: first, End: first + rapid.Uint64Range(1, 4).Draw(t, "len")}
}

// drawOp draws the operation of a record, which its writer may have no right to.
func drawOp(t *rapid.T, d crdt.Dot) crdt.Op {
	op := crdt.Op{Dot: d, Time: rapid.Uint64Range(1, 3).Draw(t, "time"), Task: drawKey(t, d.Node)}
	anyTask := func() { op.Task = drawKey(t, rapid.SampledFrom(nodes()).Draw(t, "of node")) }
	dots := func() []crdt.Dot {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) crdt.Dot { return drawDot(t, "replaced") }), 0, 3).Draw(t, "replaces")
	}
	switch rapid.IntRange(0, 11).Draw(t, "kind") {
	case 0, 1:
		op.Body = crdt.Request{Argv: []string{fmt.Sprint(d)}, TimeoutMS: uint32(d.Seq)}
	case 2:
		op.Body = crdt.Started{PID: uint32(d.Seq)}
	case 3:
		op.Body = crdt.Warning{Kind: fmt.Sprint(d)}
	case 4:
		op.Body = crdt.Exit{DurationMS: d.Seq}
	case 5:
		op.Body = crdt.Denial{Argv: []string{"no"}, Reason: fmt.Sprint(d)}
	case 6:
		op.Body = crdt.Removal{Reason: fmt.Sprint(d)}
	case 7:
		op.Task = crdt.TaskKey{}
		op.Body = crdt.Removal{Reason: fmt.Sprint(d), Ranges: rapid.SliceOfN(rapid.Custom(drawRange), 1, 2).Draw(t, "ranges")}
	case 8:
		anyTask()
		op.Body = crdt.Review{Completed: rapid.Bool().Draw(t, "done"), By: fmt.Sprint(d)}
	case 9:
		anyTask()
		op.Body = crdt.Release{Replaces: dots()}
	case 10:
		anyTask()
		op.Body = crdt.Note{Field: rapid.SampledFrom([]string{"note", "priority"}).Draw(t, "field"), Value: fmt.Sprint(d), Replaces: dots()}
	case 11:
		op.Task = crdt.TaskKey{}
		op.Body = crdt.Succession{Old: drawLog(t, "old")}
	}
	return op
}

// DrawOps draws operations with distinct dots, as logs have them.
func DrawOps(t *rapid.T) []crdt.Op {
	dots := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) crdt.Dot { return drawDot(t, "dot") }), 0, 14, func(d crdt.Dot) crdt.Dot { return d }).Draw(t, "dots")
	ops := make([]crdt.Op, len(dots))
	for i, d := range dots {
		ops[i] = drawOp(t, d)
	}
	return ops
}
