package gossip

import (
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

const (
	// hostMemory and hostFiles scale libp2p's limits, so that a mesh's traffic
	// leaves room for the log on a small machine.
	hostMemory = 256 << 20 // bytes
	hostFiles  = 512
	// peerMemory is no limit of its own: streams are what is limited for a peer.
	peerMemory = 32 * (256<<20 + 16<<10) // bytes
)

// newResources limits what peers may use of this machine. Who made it closes it.
func newResources() (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	limitServices(&limits)
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.Scale(hostMemory, hostFiles)))
}

// limitServices sets the limits of the two services that a host brings itself,
// to what libp2p.SetDefaultServiceLimits sets, which would link all of libp2p.
func limitServices(c *rcmgr.ScalingLimitConfig) {
	streams := rcmgr.BaseLimit{StreamsInbound: 64, StreamsOutbound: 64, Streams: 128, Memory: 4 << 20}
	more := rcmgr.BaseLimitIncrease{StreamsInbound: 64, StreamsOutbound: 64, Streams: 128, Memory: 4 << 20}
	ofPeer := rcmgr.BaseLimit{StreamsInbound: 16, StreamsOutbound: 16, Streams: 32, Memory: 1 << 20}
	c.AddServiceLimit(identify.ServiceName, streams, more)
	c.AddServicePeerLimit(identify.ServiceName, ofPeer, rcmgr.BaseLimitIncrease{})
	ofPeer.Memory = peerMemory
	for _, id := range []protocol.ID{identify.ID, identify.IDPush} {
		c.AddProtocolLimit(id, streams, more)
		c.AddProtocolPeerLimit(id, ofPeer, rcmgr.BaseLimitIncrease{})
	}

	streams.Streams, more.Streams = 64, 64
	ofPeer = rcmgr.BaseLimit{StreamsInbound: 2, StreamsOutbound: 3, Streams: 4, Memory: peerMemory}
	c.AddServiceLimit(ping.ServiceName, streams, more)
	c.AddProtocolLimit(ping.ID, streams, more)
	c.AddServicePeerLimit(ping.ServiceName, ofPeer, rcmgr.BaseLimitIncrease{})
	c.AddProtocolPeerLimit(ping.ID, ofPeer, rcmgr.BaseLimitIncrease{})
}
