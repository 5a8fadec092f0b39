package node

import (
	"fmt"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
	"auditmesh/internal/api"
)

// Prove is the inclusion proof of a record of a log that is held.
func (n *Node) Prove(node, log string, seq uint64) ([]byte, error) {
	l, err := n.heldLog(node, log)
	if err != nil {
		return nil, err
	}
	p, err := l.Prove(seq)
	if err != nil {
		return nil, err
	}
	return p.Marshal(), nil
}

// Checkpoint is the greatest checkpoint held of a log.
func (n *Node) Checkpoint(node, log string) ([]byte, error) {
	l, err := n.heldLog(node, log)
	if err != nil {
		return nil, err
	}
	head, ok := l.Head()
	if !ok {
		return nil, fmt.Errorf("%w: the log has no checkpoint", segment.ErrUnsigned)
	}
	return head.Note, nil
}

// Extends is the proof that the log of a checkpoint, from wherever it was kept,
// is the beginning of what is held of that log here.
func (n *Node) Extends(note []byte) ([]byte, error) {
	old, err := merkle.ParseCheckpoint(note)
	if err != nil {
		return nil, &api.Refusal{Code: "bad_checkpoint", Message: err.Error()}
	}
	l, err := n.heldLog(old.Log.Peer, old.Log.IDString())
	if err != nil {
		return nil, err
	}
	c, err := l.ProveConsistency(old)
	if err != nil {
		return nil, err
	}
	return c.Marshal(), nil
}

// heldLog finds the log of a node, this one if it is empty, with that id; an
// empty id is this node's own log, and does for another node if it has one log.
func (n *Node) heldLog(node, log string) (holdings.Log, error) {
	if log == "" && (node == "" || node == n.id.Peer) && n.log != nil && n.log.Size() > 0 {
		return n.log, nil
	}
	list := n.heldLogs(node, log)
	switch len(list) {
	case 1:
		return list[0], nil
	case 0:
		return nil, fmt.Errorf("%w: no such log is held here; `auditmesh status` lists them", api.ErrNotFound)
	default:
		return nil, &api.Refusal{Code: "which_log", Field: "log", Message: fmt.Sprintf("%d logs of this node are held: say which, by its id (`auditmesh status` lists them)", len(list))}
	}
}

// heldLogs are the logs of a node, this one if it is empty; of them the one with
// that id, unless it is empty.
func (n *Node) heldLogs(node, log string) (list []holdings.Log) {
	if node == "" {
		node = n.id.Peer
	}
	for _, l := range n.holdings.Logs() {
		if name, ok := l.Name(); ok && name.Peer == node && (log == "" || name.IDString() == log) {
			list = append(list, l)
		}
	}
	return list
}
