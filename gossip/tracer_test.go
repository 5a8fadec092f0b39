package gossip

import (
	"testing"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
)

// Every drop that pubsub tells of is counted and wakes catch-up.
func TestDropsWakeCatchUp(t *testing.T) {
	var c Counters
	woken := 0
	tr := &tracer{count: &c, wake: func() { woken++ }}
	tr.DropRPC(&pubsub.RPC{RPC: pb.RPC{Publish: []*pb.Message{{}, {}}}}, "p")
	tr.DropRPC(&pubsub.RPC{}, "p") // control messages alone: nothing of ours is lost
	tr.UndeliverableMessage(nil)
	tr.RejectMessage(nil, pubsub.RejectValidationQueueFull)
	tr.RejectMessage(nil, pubsub.RejectValidationFailed)
	if c.DropsOut.Load() != 2 || c.DropsIn.Load() != 2 || woken != 3 {
		t.Errorf("out %d, in %d, woken %d", c.DropsOut.Load(), c.DropsIn.Load(), woken)
	}
}
