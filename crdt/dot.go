package crdt

import (
	"bytes"
	"cmp"
	"strings"
)

// Log names a log: the peer id of its node and the log id.
type Log struct {
	Node string
	ID   [32]byte
}

// Compare orders logs by node, then by id.
func (l Log) Compare(m Log) int {
	if c := strings.Compare(l.Node, m.Node); c != 0 {
		return c
	}
	return bytes.Compare(l.ID[:], m.ID[:])
}

// Dot is the unique tag of one record: its position.
type Dot struct {
	Log
	Seq uint64
}

// Compare orders dots by node, log id and seq. Where a node has several logs
// that succeed one another, CompareDots is the order that is shown.
func (d Dot) Compare(e Dot) int {
	if c := d.Log.Compare(e.Log); c != 0 {
		return c
	}
	return cmp.Compare(d.Seq, e.Seq)
}

// Order puts a node's logs in order of succession.
type Order interface {
	// Rank is how many logs of the node came before this one, as far as is known.
	Rank(Log) int
}

// CompareDots is the order of (node, log in order of succession, seq).
func CompareDots(o Order, d, e Dot) int {
	if d.Log == e.Log {
		return cmp.Compare(d.Seq, e.Seq)
	}
	if d.Node == e.Node {
		if c := cmp.Compare(o.Rank(d.Log), o.Rank(e.Log)); c != 0 {
			return c
		}
	}
	return d.Compare(e)
}
