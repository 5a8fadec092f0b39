package gossip

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// tracer sees the drops that pubsub is silent about otherwise: it counts them
// and wakes catch-up. It is called synchronously and never blocks.
type tracer struct {
	count *Counters
	wake  func()
}

var _ pubsub.RawTracer = (*tracer)(nil)

// DropRPC is a message that a peer's full queue lost.
func (t *tracer) DropRPC(rpc *pubsub.RPC, _ peer.ID) {
	if n := len(rpc.GetPublish()); n > 0 {
		t.count.DropsOut.Add(uint64(n))
		t.wake()
	}
}

// UndeliverableMessage is a message that our own full queue lost.
func (t *tracer) UndeliverableMessage(*pubsub.Message) {
	t.count.DropsIn.Add(1)
	t.wake()
}

// RejectMessage counts what was lost for want of room; what the validator
// refused it has counted itself.
func (t *tracer) RejectMessage(_ *pubsub.Message, reason string) {
	switch reason {
	case pubsub.RejectValidationQueueFull, pubsub.RejectValidationThrottled:
		t.count.DropsIn.Add(1)
		t.wake()
	}
}

func (*tracer) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (*tracer) OnClosedOutboundStream(peer.ID)                       {}
func (*tracer) Join(string)                                          {}
func (*tracer) Leave(string)                                         {}
func (*tracer) Graft(peer.ID, string)                                {}
func (*tracer) Prune(peer.ID, string)                                {}
func (*tracer) ValidateMessage(*pubsub.Message)                      {}
func (*tracer) DeliverMessage(*pubsub.Message)                       {}
func (*tracer) DuplicateMessage(*pubsub.Message)                     {}
func (*tracer) ThrottlePeer(peer.ID)                                 {}
func (*tracer) RecvRPC(*pubsub.RPC)                                  {}
func (*tracer) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (*tracer) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
