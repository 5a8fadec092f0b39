package node

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// retainEvery is how often retention looks. It costs a look at each log's oldest
// segment.
const retainEvery = 5 * time.Second

// retain removes what the configuration does not keep, until ctx ends.
func (n *Node) retain(ctx context.Context) error {
	own, copies := n.cfg.Retain, n.cfg.RetainCopies
	if own == (Retention{}) && copies == (Retention{}) {
		return nil
	}
	ticker := time.NewTicker(retainEvery)
	defer ticker.Stop()
	for {
		for _, l := range n.holdings.Logs() {
			name, _ := l.Name()
			keep := copies
			if name.Peer == n.id.Peer {
				keep = own
			}
			if err := n.retainLog(ctx, l, name, keep); err != nil && !errors.Is(err, context.Canceled) {
				n.logger.Warn("old segments are not removed yet", slog.Any("log", name), slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (n *Node) retainLog(ctx context.Context, l holdings.Log, name merkle.LogName, keep Retention) error {
	first, err := l.Retirable(segment.Retention{Segments: int(keep.Segments), Bytes: keep.Bytes, Age: keep.Age.Std()}, time.Now())
	had := l.First()
	if err != nil || first <= had {
		return err
	}
	if err := n.mirror.Retire(ctx, name, first); err != nil {
		return err
	}
	if now := l.First(); now > had {
		n.logger.Info("old segments removed, as the configuration keeps no more",
			slog.Any("log", name), slog.Uint64("records", now-had), slog.Uint64("first record held", now))
	}
	return nil
}
