package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
	"auditmesh/internal/api"
)

// Prove is the inclusion proof of a record of a log that is held.
func (n *Node) Prove(ctx context.Context, node, log string, seq uint64) ([]byte, error) {
	l, err := n.heldLog(node, log)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	p, err := l.Prove(seq)
	if err != nil {
		return nil, err
	}
	return p.Marshal(), nil
}

// Checkpoint is the greatest checkpoint held of a log.
func (n *Node) Checkpoint(_ context.Context, node, log string) ([]byte, error) {
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
func (n *Node) Extends(ctx context.Context, note []byte) ([]byte, error) {
	old, err := merkle.ParseCheckpoint(note)
	if err != nil {
		return nil, &api.Refusal{Code: "bad_checkpoint", Message: err.Error()}
	}
	l, err := n.heldLog(old.Log.Peer, old.Log.IDString())
	if err = errors.Join(err, ctx.Err()); err != nil {
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
		if err := n.damagedOf(node, log); err != nil {
			return nil, err
		}
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

// damagedOf is the refusal to take for whole what is held of a node, this one if
// it is empty, while the copy of a log of it is damaged: of the log with that id,
// or of any if it is empty. It is nil if none is.
func (n *Node) damagedOf(node, log string) error {
	for dir, why := range n.holdings.Damaged() {
		id, peer := filepath.Base(dir), n.id.Peer // sealed beside the own log
		if filepath.Dir(filepath.Dir(dir)) == n.cfg.copiesDir() {
			peer = filepath.Base(filepath.Dir(dir))
		}
		if peer == cmp.Or(node, n.id.Peer) && (log == "" || id == log) {
			return &api.Refusal{Code: "damaged", Field: "log", Message: fmt.Sprintf("the copy %s is damaged: %s; `auditmesh verify %s` says where, and --log names another log of the node", dir, why, dir)}
		}
	}
	return nil
}
