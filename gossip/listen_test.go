package gossip

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// An address that is taken does not end the mesh: it listens on the others, says
// why, and listens there too once the address is free.
func TestAddressThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	taken := "/ip4/127.0.0.1/tcp/" + port
	other := "/ip4/192.0.2.1/tcp/7946" // of no interface of this machine
	m, err := New(Options{Tasklist: "t", Key: nodeKey(t, 1), Listen: []string{taken, other, "/ip4/127.0.0.1/tcp/0"}, Holdings: newHeld(t, 1), Logger: testLogger(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); <-time.After(10 * time.Millisecond) {
			select {
			case err := <-ended:
				t.Fatalf("%s: the mesh ended: %v", what, err)
			default:
			}
			if time.Now().After(end) {
				t.Fatalf("not yet: %s: %v, %v", what, m.Unheard(), m.Addresses())
			}
		}
	}
	until("it says why", func() bool { return len(m.Unheard()) == 2 && len(m.Addresses()) == 1 })
	if why := m.Unheard(); !strings.Contains(why[taken], "address already in use") || !strings.Contains(why[other], "cannot assign requested address") || strings.Contains(why[taken], "[") {
		t.Errorf("it says %v", why)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	until("it listens where it is free", func() bool { return len(m.Unheard()) == 1 && len(m.Addresses()) == 2 })
	if !strings.Contains(strings.Join(m.Addresses(), " "), taken+"/p2p/") {
		t.Errorf("it listens on %v", m.Addresses())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if why := m.Unheard(); len(why) > 0 {
		t.Errorf("it does not run, and says %v", why)
	}
}
