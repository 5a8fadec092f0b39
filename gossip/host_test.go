package gossip

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const echo = "/auditmesh/test/echo"

// transports are what a host listens on, and what its connections say they are.
var transports = map[string]string{"tcp": "/ip4/127.0.0.1/tcp/0", "quic": "/ip4/127.0.0.1/udp/0/quic-v1"}

// newTestHost is the host of node n, whose members are given.
func newTestHost(t testing.TB, n byte, listen string, members ...byte) (*Mesh, host.Host) {
	t.Helper()
	o := Options{Tasklist: "test", Key: nodeKey(t, n), Listen: []string{listen}, Holdings: newHeld(t, n), Logger: testLogger(t, "")}
	for _, id := range members {
		o.Members = append(o.Members, idOf(id))
	}
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h, err := m.newHost()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	if left := m.listenOn(h, m.listen); len(left) > 0 {
		t.Fatalf("not listening: %v", m.Unheard())
	}
	h.SetStreamHandler(echo, func(s network.Stream) {
		_, _ = io.Copy(s, s)
		s.Close()
	})
	return m, h
}

func dial(t testing.TB, from, to host.Host) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return from.Connect(ctx, peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()})
}

// says sends text from one host to the other and checks that it comes back.
func says(t testing.TB, from, to host.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := from.NewStream(ctx, to.ID(), echo)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := fmt.Fprint(s, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if err != nil || string(got) != "hello" {
		t.Fatalf("came back: %q, %v", got, err)
	}
}

// Members talk over each transport, and the resource manager counts the connection on
// both sides. A stranger is turned away on both.
func TestHostOverEachTransport(t *testing.T) {
	for name, listen := range transports {
		t.Run(name, func(t *testing.T) {
			_, a := newTestHost(t, 1, listen, 2)
			mb, b := newTestHost(t, 2, listen, 1)
			if err := dial(t, a, b); err != nil {
				t.Fatal(err)
			}
			says(t, a, b)
			says(t, b, a)
			for _, h := range []host.Host{a, b} {
				stat := h.Network().ResourceManager().(rcmgr.ResourceManagerState).Stat()
				if n := stat.System.NumConnsInbound + stat.System.NumConnsOutbound; n != 1 {
					t.Errorf("the resource manager of %s counts %d connections, not 1", h.ID(), n)
				}
			}
			stranger, err := libp2p.New(libp2p.Identity(nodeKey(t, 8)), libp2p.NoListenAddrs)
			if err != nil {
				t.Fatal(err)
			}
			defer stranger.Close()
			// To the dialler it may look as if it were connected, for a moment.
			if err := dial(t, stranger, b); err == nil {
				eventually(t, func() bool { return len(stranger.Network().Conns()) == 0 })
			}
			if n := mb.members.count.StrangersRefused.Load(); n == 0 {
				t.Error("no stranger was refused")
			}
			eventually(t, func() bool { // and is not counted any more
				stat := b.Network().ResourceManager().(rcmgr.ResourceManagerState).Stat()
				return stat.System.NumConnsInbound+stat.System.NumConnsOutbound == 1
			})
		})
	}
}

// A plain libp2p program, with all of libp2p's defaults, connects both ways.
func TestHostMeetsPlainLibp2p(t *testing.T) {
	for name, listen := range transports {
		t.Run(name, func(t *testing.T) {
			plain, err := libp2p.New(libp2p.Identity(nodeKey(t, 9)), libp2p.ListenAddrStrings(listen))
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			plain.SetStreamHandler(echo, func(s network.Stream) {
				_, _ = io.Copy(s, s)
				s.Close()
			})
			_, out := newTestHost(t, 1, listen, 9)
			if err := dial(t, out, plain); err != nil {
				t.Fatal(err)
			}
			says(t, out, plain)
			_, in := newTestHost(t, 2, listen, 9)
			if err := dial(t, plain, in); err != nil {
				t.Fatal(err)
			}
			says(t, plain, in)
			if agent, err := plain.Peerstore().Get(in.ID(), "AgentVersion"); err != nil || agent != "auditmesh" {
				t.Errorf("identify gave the user agent %v, %v", agent, err)
			}
		})
	}
}

// Closing frees the address and ends what was started, also where listening failed.
func TestHostCloses(t *testing.T) {
	for name, listen := range transports {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			m, h := newTestHost(t, 1, listen)
			m.listen = h.Network().ListenAddresses()
			for range 2 {
				if err := h.Close(); err != nil {
					t.Fatal(err)
				}
			}
			free := occupy(t, m.listen[0])
			deaf, err := m.newHost()
			if err != nil {
				t.Fatal(err)
			}
			if left := m.listenOn(deaf, m.listen); len(left) != len(m.listen) {
				t.Fatal("listens where another program does")
			}
			if err := deaf.Close(); err != nil {
				t.Fatal(err)
			}
			free()
			again, err := m.newHost()
			if err != nil {
				t.Fatal(err)
			}
			if left := m.listenOn(again, m.listen); len(left) > 0 {
				t.Fatalf("the address is not free: %v", m.Unheard())
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// occupy listens on an address as another program would.
func occupy(t testing.TB, a ma.Multiaddr) (free func()) {
	t.Helper()
	kind, addr, err := manet.DialArgs(a)
	if err != nil {
		t.Fatal(err)
	}
	var l io.Closer
	if strings.HasPrefix(kind, "tcp") {
		l, err = net.Listen(kind, addr)
	} else {
		l, err = net.ListenPacket(kind, addr)
	}
	if err != nil {
		t.Fatalf("the address is not free: %v", err)
	}
	return func() { l.Close() }
}

// The limits of the services that we have are libp2p's own.
func TestLimitsAreLibp2ps(t *testing.T) {
	ours, theirs := rcmgr.DefaultLimits, rcmgr.DefaultLimits
	limitServices(&ours)
	libp2p.SetDefaultServiceLimits(&theirs)
	a := ours.Scale(hostMemory, hostFiles).ToPartialLimitConfig()
	b := theirs.Scale(hostMemory, hostFiles).ToPartialLimitConfig()
	for _, s := range []string{identify.ServiceName, ping.ServiceName} {
		if len(a.Service) == 0 || a.Service[s] != b.Service[s] || a.ServicePeer[s] != b.ServicePeer[s] {
			t.Errorf("service %s: %+v %+v, libp2p has %+v %+v", s, a.Service[s], a.ServicePeer[s], b.Service[s], b.ServicePeer[s])
		}
	}
	for _, p := range []protocol.ID{identify.ID, identify.IDPush, ping.ID} {
		if len(a.Protocol) == 0 || a.Protocol[p] != b.Protocol[p] || a.ProtocolPeer[p] != b.ProtocolPeer[p] {
			t.Errorf("protocol %s: %+v %+v, libp2p has %+v %+v", p, a.Protocol[p], a.ProtocolPeer[p], b.Protocol[p], b.ProtocolPeer[p])
		}
	}
	if a.System != b.System || a.Transient != b.Transient {
		t.Error("the limits of the whole differ")
	}
}
