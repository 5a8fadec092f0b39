package gossip

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"auditmesh/audit"
	"auditmesh/audit/merkle"
	"auditmesh/gossip/internal/wire"
)

// queue is the length of pubsub's queues: the defaults of 32 lose messages in a
// burst, and each message may have a megabyte.
const queue = 128

// join makes pubsub and joins the topic. A batch carries its log's signature,
// so pubsub's own is off; the id of a message is the hash of its bytes, which is
// the same whoever relays it.
func (m *Mesh) join(ctx context.Context, h host.Host) (*pubsub.Topic, *pubsub.Subscription, error) {
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithLogger(slog.New(LibraryHandler(m.opts.Logger))),
		pubsub.WithMessageIdFn(func(msg *pb.Message) string {
			id := sha256.Sum256(msg.GetData())
			return string(id[:])
		}),
		pubsub.WithMaxMessageSize(maxMessage),
		pubsub.WithPeerOutboundQueueSize(queue),
		pubsub.WithValidateQueueSize(queue),
		pubsub.WithRawTracer(&tracer{count: &m.counters, wake: m.catchUp.dropped}),
		pubsub.WithSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(topicPrefix+m.opts.Tasklist)),
	)
	if err != nil {
		return nil, nil, err
	}
	name := topicPrefix + m.opts.Tasklist
	if err := ps.RegisterTopicValidator(name, m.validate, pubsub.WithValidatorInline(true)); err != nil {
		return nil, nil, err
	}
	topic, err := ps.Join(name)
	if err != nil {
		return nil, nil, err
	}
	sub, err := topic.Subscribe(pubsub.WithBufferSize(queue))
	return topic, sub, err
}

// validate decides whether a message is passed on. Reject is only for what any
// relayer could have seen to be wrong by itself: shape, signature, root. Whose
// logs count is our own list, so a stranger's batch is ignored: the relayer may
// have another. A batch beyond a hole is passed on; others may extend by it.
func (m *Mesh) validate(_ context.Context, _ peer.ID, msg *pubsub.Message) pubsub.ValidationResult {
	w := new(wire.Batch)
	if err := proto.Unmarshal(msg.GetData(), w); err != nil {
		m.counters.Invalid.Add(1)
		return pubsub.ValidationReject
	}
	v, err := m.verify(w)
	switch {
	case errors.Is(err, errNotOurs):
		return pubsub.ValidationIgnore
	case err != nil:
		m.opts.Logger.Warn("a batch was rejected", slog.String("node", w.GetNode()), slog.Any("from", msg.ReceivedFrom), slog.Any("error", err))
		return pubsub.ValidationReject
	}
	msg.ValidatorData = v
	return pubsub.ValidationAccept
}

// errNotOurs is returned for a batch that is not ours to judge.
var errNotOurs = errors.New("the batch is of another tasklist, or of no member's log")

// verify checks a batch, cheap checks first, and counts one that is refused.
func (m *Mesh) verify(w *wire.Batch) (*merkle.VerifiedBatch, error) {
	if w.GetTasklist() != m.opts.Tasklist {
		m.counters.OtherTasklist.Add(1)
		return nil, errNotOurs
	}
	if !m.members.hasNode(w.GetNode()) {
		m.counters.StrangersLogs.Add(1)
		return nil, errNotOurs
	}
	b, err := m.codec.decodeBatch(w)
	var v *merkle.VerifiedBatch
	if err == nil {
		v, err = b.Verify()
	}
	if err != nil {
		m.counters.Invalid.Add(1)
		return nil, fmt.Errorf("a batch of %.60q: %w", w.GetNode(), err)
	}
	return v, nil
}

// receive stores what the topic brings. Whether a batch extends what is held is
// decided here, when it is applied.
func (m *Mesh) receive(ctx context.Context, sub *pubsub.Subscription) error {
	for {
		msg, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		v, ok := msg.ValidatorData.(*merkle.VerifiedBatch)
		if !ok || msg.ReceivedFrom == m.self {
			continue
		}
		m.counters.Received.Add(1)
		if outcome, err := m.apply(v, msg.ReceivedFrom, m.opts.Holdings.Extend); err == nil && outcome == audit.Hole {
			m.catchUp.with(msg.ReceivedFrom)
		}
	}
}

// apply stores a batch and counts what became of it.
func (m *Mesh) apply(v *merkle.VerifiedBatch, from peer.ID, store func(*merkle.VerifiedBatch) (audit.Outcome, error)) (audit.Outcome, error) {
	outcome, err := store(v)
	if err != nil {
		m.counters.StoreFailed.Add(1)
		m.opts.Logger.Error("a batch could not be stored; catch-up will bring it again",
			slog.Any("log", v.Log), slog.Uint64("first", v.First), slog.Any("from", from), slog.Any("error", err))
		return outcome, fmt.Errorf("store a batch of log %s: %w", v.Log, err)
	}
	switch outcome {
	case audit.Extended:
		m.counters.Extended.Add(1)
	case audit.Known:
		m.counters.Known.Add(1)
	case audit.Hole:
		m.counters.Holes.Add(1)
	case audit.Conflict:
		m.counters.Conflicts.Add(1)
	}
	return outcome, nil
}

// publishEvery is the least time between two publications: at once when idle,
// and under load one signature for all that came meanwhile.
const publishEvery = 25 * time.Millisecond

// publish sends each new run of the own log, from what is signed when it begins;
// what came before, catch-up brings to whoever joins.
func (m *Mesh) publish(ctx context.Context, topic *pubsub.Topic) error {
	wake, cancel := m.opts.Own.Subscribe()
	defer cancel()
	m.published.Store(m.opts.Own.SignedSize())
	for {
		if err := m.opts.Own.Sign(); err != nil {
			m.opts.Logger.Debug("nothing is published while nothing can be signed", slog.Any("error", err))
		}
		for size := m.opts.Own.SignedSize(); m.published.Load() < size; {
			b, err := m.opts.Own.Batch(m.published.Load())
			if err != nil {
				m.opts.Logger.Error("own records could not be read for publishing", slog.Any("error", err))
				break
			}
			raw, err := proto.Marshal(m.codec.encodeBatch(b))
			if err != nil {
				return err
			}
			if err := topic.Publish(ctx, raw); err != nil {
				return err
			}
			m.counters.Published.Add(1)
			m.published.Store(endOf(b))
		}
		pause := time.NewTimer(publishEvery)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
	}
}

func endOf(b *merkle.Batch) uint64 {
	n := b.First
	for _, c := range b.Lines {
		if c == '\n' {
			n++
		}
	}
	return n
}
