package gossip

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/gossip/internal/wire"
)

func edKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func nodeKey(t testing.TB, n byte) crypto.PrivKey {
	t.Helper()
	k, err := crypto.UnmarshalEd25519PrivateKey(edKey(n))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func idOf(n byte) string { return merkle.PeerID(edKey(n).Public().(ed25519.PublicKey)) }

// held is a small Holdings: an own log, and copies in a directory.
type held struct {
	dir string
	own *audit.Log

	mu     sync.Mutex
	copies map[merkle.LogName]*audit.Copy
}

func newHeld(t testing.TB, n byte) *held {
	t.Helper()
	dir := t.TempDir()
	o := audit.Options{Path: dir + "/log/audit.jsonl", SignedPath: dir + "/state/signed.json", Key: edKey(n), SegmentBytes: 4 << 10}
	if err := audit.InitSignedState(disk.OS{}, o.SignedPath, idOf(n)); err != nil {
		t.Fatal(err)
	}
	own, err := audit.OpenOrCreate(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })
	return &held{dir: dir, own: own, copies: map[merkle.LogName]*audit.Copy{}}
}

func (h *held) append(t testing.TB, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		e := &event.Started{TSUnixMS: uint64(i), RequestID: event.RequestID{byte(i), byte(i >> 8)}, PID: uint32(i)}
		if _, err := h.own.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *held) Offered() (list []merkle.LogState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c, ok := h.own.Head(); ok {
		list = append(list, merkle.LogState{Name: c.Log, First: h.own.First(), Size: c.Size, Root: c.Root})
	}
	for name, c := range h.copies {
		if head, ok := c.Head(); ok {
			list = append(list, merkle.LogState{Name: name, First: c.First(), Size: head.Size, Root: head.Root})
		}
	}
	merkle.SortStates(list)
	return list
}

func (h *held) Batch(name merkle.LogName, from uint64) (*merkle.Batch, error) {
	if own, ok := h.own.Name(); ok && own == name {
		return h.own.Batch(from)
	}
	h.mu.Lock()
	c := h.copies[name]
	h.mu.Unlock()
	if c == nil {
		return nil, io.EOF
	}
	return c.Batch(from)
}

func (h *held) Extend(v *merkle.VerifiedBatch) (audit.Outcome, error) {
	return h.store(v, v.First == 0, (*audit.Copy).Extend)
}

func (h *held) StartAt(v *merkle.VerifiedBatch) (audit.Outcome, error) {
	return h.store(v, true, (*audit.Copy).StartAt)
}

func (h *held) store(v *merkle.VerifiedBatch, make bool, store func(*audit.Copy, *merkle.VerifiedBatch) (audit.Outcome, error)) (audit.Outcome, error) {
	if own, ok := h.own.Name(); ok && own == v.Log {
		return audit.Known, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.copies[v.Log]
	if c == nil {
		if !make {
			return audit.Hole, nil
		}
		var err error
		if c, err = audit.OpenCopy(disk.OS{}, audit.CopyDir(h.dir+"/copies", v.Log), v.Log, 0); err != nil {
			return audit.Hole, err
		}
		h.copies[v.Log] = c
	}
	return store(c, v)
}

func (h *held) digest() merkle.Hash {
	_, d := merkle.Digests(h.Offered())
	return d
}

type member struct {
	*held
	*Mesh
	stop func()
}

// join runs a node of a mesh of the given members, bootstrapped from others.
func join(t testing.TB, n byte, h *held, members []byte, from ...*member) *member {
	t.Helper()
	o := Options{Tasklist: "test", Key: nodeKey(t, n), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Holdings: h, Own: h.own, Logger: testLogger(t, fmt.Sprint(n))}
	for _, m := range members {
		o.Members = append(o.Members, idOf(m))
	}
	for _, m := range from {
		eventually(t, func() bool { return len(m.Addresses()) > 0 })
		o.Bootstrap = append(o.Bootstrap, m.Addresses()...)
	}
	mesh, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mesh.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("node %d: %v", n, err)
			}
		})
	}
	t.Cleanup(stop)
	return &member{h, mesh, stop}
}

// eventually waits for a condition; the time limit is for a test that fails.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatal("waited for a minute in vain")
		}
		<-time.After(10 * time.Millisecond)
	}
}

func converge(t testing.TB, nodes ...*member) {
	t.Helper()
	eventually(t, func() bool {
		for _, n := range nodes[1:] {
			if n.digest() != nodes[0].digest() {
				return false
			}
		}
		return nodes[0].own.SignedSize() == nodes[0].own.Size() && nodes[0].Published() == nodes[0].own.Size()
	})
}

// Three in a line: the ends have no connection, and one is away for a while.
func TestMeshConverges(t *testing.T) {
	all := []byte{1, 2, 3}
	h1, h2, h3 := newHeld(t, 1), newHeld(t, 2), newHeld(t, 3)
	h1.append(t, 0, 20) // before anyone is there
	n1 := join(t, 1, h1, all)
	n2 := join(t, 2, h2, all, n1)
	n3 := join(t, 3, h3, all, n2)
	h2.append(t, 0, 5)
	h3.append(t, 0, 5)
	converge(t, n1, n2, n3)
	if len(n1.Offered()) != 3 {
		t.Fatalf("%d logs are held", len(n1.Offered()))
	}
	n2.stop() // the middle is away
	h1.append(t, 20, 40)
	h2.append(t, 5, 10)
	h3.append(t, 5, 10)
	n2 = join(t, 2, h2, all, n1, n3)
	converge(t, n1, n2, n3)
	if n2.own.Size() != 10 || len(n2.Offered()) != 3 {
		t.Errorf("size %d, %d logs", n2.own.Size(), len(n2.Offered()))
	}
	h1.append(t, 40, 300) // one by one, live
	converge(t, n1, n2, n3)
	eventually(t, func() bool { return n1.Peers()[0].Connected })
	for _, n := range []*member{n1, n2, n3} {
		for _, name := range []string{"invalid", "conflicts", "strangers_logs", "strangers_refused", "store_failed"} {
			if c := n.Counters().Snapshot()[name]; c != 0 {
				t.Errorf("%s is %d among honest members", name, c)
			}
		}
	}
}

// Fault 25: a stranger is refused at the connection, and one that we would dial too.
func TestStrangerIsRefused(t *testing.T) {
	n1 := join(t, 1, newHeld(t, 1), []byte{1, 2})
	stranger := join(t, 9, newHeld(t, 9), []byte{1, 9}, n1)
	eventually(t, func() bool { return n1.Counters().StrangersRefused.Load() > 0 })
	if len(n1.connected()) != 0 {
		t.Errorf("a stranger is connected: %v", n1.connected())
	}
	stranger.own.Sign()
	if _, err := New(Options{Tasklist: "test", Key: nodeKey(t, 1), Bootstrap: stranger.Addresses()}); err == nil || !strings.Contains(err.Error(), "members") {
		t.Errorf("a stranger's bootstrap address: %v", err)
	}
}

func message(t testing.TB, from peer.ID, w *wire.Batch) *pubsub.Message {
	t.Helper()
	raw, err := proto.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return &pubsub.Message{Message: &pb.Message{Data: raw}, ReceivedFrom: from}
}

// Fault 26 and 28, and what honest relayers are not punished for.
func TestValidate(t *testing.T) {
	h2 := newHeld(t, 2)
	h2.append(t, 0, 10)
	if err := h2.own.Sign(); err != nil {
		t.Fatal(err)
	}
	b, err := h2.own.Batch(3)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Options{Tasklist: "test", Key: nodeKey(t, 1), Members: []string{idOf(2)}, Holdings: newHeld(t, 1), Logger: testLogger(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func(*wire.Batch)
		want  pubsub.ValidationResult
		count string
	}{
		{"as it is", func(*wire.Batch) {}, pubsub.ValidationAccept, ""},
		{"a changed byte", func(w *wire.Batch) { w.Lines[len(w.Lines)-9] ^= 1 }, pubsub.ValidationReject, "invalid"},
		{"a wrong signature", func(w *wire.Batch) { w.Checkpoint[len(w.Checkpoint)-12] ^= 1 }, pubsub.ValidationReject, "invalid"},
		{"in another's name", func(w *wire.Batch) { w.Node = idOf(1) }, pubsub.ValidationReject, "invalid"},
		{"a stranger's log", func(w *wire.Batch) { w.Node = idOf(7) }, pubsub.ValidationIgnore, "strangers_logs"},
		{"another tasklist", func(w *wire.Batch) { w.Tasklist = "prod" }, pubsub.ValidationIgnore, "other_tasklist"},
		{"a lie about its size", func(w *wire.Batch) { w.LinesSize++ }, pubsub.ValidationReject, "invalid"},
		{"too large", func(w *wire.Batch) { w.LinesSize = merkle.MaxBatchBytes + 1 }, pubsub.ValidationReject, "invalid"},
		{"a zstd bomb", func(w *wire.Batch) {
			w.Lines, w.Encoding = m.codec.enc.EncodeAll(make([]byte, 64<<20), nil), wire.Encoding_ZSTD
		}, pubsub.ValidationReject, "invalid"},
		{"no frontier", func(w *wire.Batch) { w.Frontier = nil }, pubsub.ValidationReject, "invalid"},
		{"an unknown encoding", func(w *wire.Batch) { w.Encoding = 9 }, pubsub.ValidationReject, "invalid"},
	} {
		w := proto.Clone(m.codec.encodeBatch(b)).(*wire.Batch)
		c.spoil(w)
		before := m.Counters().Snapshot()
		if got := m.validate(t.Context(), "", message(t, m.self, w)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if c.count != "" && m.Counters().Snapshot()[c.count] != before[c.count]+1 {
			t.Errorf("%s was not counted as %s", c.name, c.count)
		}
	}
	if got := m.validate(t.Context(), "", &pubsub.Message{Message: &pb.Message{Data: []byte("noise")}}); got != pubsub.ValidationReject {
		t.Errorf("noise: %v", got)
	}
}

// A rewritten past is refused and counted, whoever brings it.
func TestConflictIsCounted(t *testing.T) {
	h1, honest, forked := newHeld(t, 1), newHeld(t, 2), newHeld(t, 2)
	honest.append(t, 0, 10)
	forked.append(t, 0, 5)
	forked.append(t, 7, 20)
	m, err := New(Options{Tasklist: "test", Key: nodeKey(t, 1), Members: []string{idOf(2)}, Holdings: h1, Logger: testLogger(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []*held{honest, forked} {
		if err := h.own.Sign(); err != nil {
			t.Fatal(err)
		}
		b, err := h.own.Batch(0)
		if err != nil {
			t.Fatal(err)
		}
		v, err := b.Verify()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.apply(v, "relayer", m.opts.Holdings.Extend); err != nil {
			t.Fatal(err)
		}
	}
	if c := m.Counters(); c.Conflicts.Load() != 1 || c.Extended.Load() != 1 {
		t.Errorf("%v", c.Snapshot())
	}
}

// Members' lists that differ: what a peer does not take is not sent to it in
// every session anew, and all else goes on.
func TestUntakenLogIsNotSentAgain(t *testing.T) {
	h1, h2, h3 := newHeld(t, 1), newHeld(t, 2), newHeld(t, 3)
	h3.append(t, 0, 5)
	n1 := join(t, 1, h1, []byte{1, 2, 3})
	n3 := join(t, 3, h3, []byte{1, 3}, n1)
	eventually(t, func() bool { return n1.digest() == n3.digest() && len(n1.Offered()) == 1 })
	n2 := join(t, 2, h2, []byte{1, 2}, n1) // knows no third
	eventually(t, func() bool { return n2.Counters().StrangersLogs.Load() > 0 })
	sent := n1.Counters().SyncBatchesOut.Load()
	for round := range uint64(3) {
		syncs := n1.Counters().Syncs.Load()
		h1.append(t, int(round), int(round)+1)
		if err := h1.own.Sign(); err != nil {
			t.Fatal(err)
		}
		n1.catchUp.with(n2.self)
		eventually(t, func() bool {
			return n1.Counters().Syncs.Load() > syncs && len(n2.Offered()) == 1 && n2.Offered()[0].Size == round+1
		})
	}
	if n := n2.Counters().StrangersLogs.Load(); n > 2 {
		t.Errorf("a log that is not taken was sent %d times", n)
	}
	if len(n2.Offered()) != 1 {
		t.Errorf("%d logs are held", len(n2.Offered()))
	}
	t.Logf("%d batches sent before, %d after", sent, n1.Counters().SyncBatchesOut.Load())
}

func FuzzDecodeBatch(f *testing.F) {
	h := newHeld(f, 2)
	h.append(f, 0, 40)
	if err := h.own.Sign(); err != nil {
		f.Fatal(err)
	}
	c, err := newCodec("test")
	if err != nil {
		f.Fatal(err)
	}
	b, err := h.own.Batch(3)
	if err != nil {
		f.Fatal(err)
	}
	raw, _ := proto.Marshal(c.encodeBatch(b))
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := new(wire.Batch)
		if proto.Unmarshal(raw, w) != nil {
			return
		}
		got, err := c.decodeBatch(w)
		if err != nil {
			return
		}
		if len(got.Lines) > merkle.MaxBatchBytes {
			t.Fatal("over the limit")
		}
		if v, err := got.Verify(); err == nil && v.Log != b.Log {
			t.Fatal("a batch that nobody signed verifies")
		}
	})
}

// testLogger writes what a node says into the test's log.
func testLogger(t testing.TB, name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", name)
}
