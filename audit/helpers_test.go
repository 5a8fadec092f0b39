package audit

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

type edPublic = ed25519.PublicKey

// testKey is a key that is the same in every run.
func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func mustEncode(t testing.TB, e event.Event) []byte {
	t.Helper()
	line, err := event.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func testOptions(t testing.TB, seed byte) Options {
	t.Helper()
	dir := t.TempDir()
	o := Options{
		Path: dir + "/log/audit.jsonl", SignedPath: dir + "/state/last-signed.json",
		Key: testKey(seed), FS: disk.OS{},
	}
	if err := InitSignedState(o.FS, o.SignedPath, merkle.PeerID(o.Key.Public().(edPublic))); err != nil {
		t.Fatal(err)
	}
	return o
}

func openLog(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := OpenOrCreate(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func started(n int) event.Event {
	return &event.Started{TSUnixMS: uint64(1000 + n), RequestID: event.RequestID{byte(n), byte(n >> 8), byte(n >> 16)}, PID: uint32(n)}
}

func appendN(t testing.TB, l *Log, from, to int) {
	t.Helper()
	var events []event.Event
	for i := from; i < to; i++ {
		events = append(events, started(i))
	}
	pos, err := l.AppendBatch(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	if pos.Seq != uint64(from) {
		t.Fatalf("appended at %d, want %d", pos.Seq, from)
	}
}

func heldLines(t testing.TB, h interface{ Lines(io.Writer) error }) string {
	t.Helper()
	var b bytes.Buffer
	if err := h.Lines(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func startedLines(t testing.TB, from, to int) string {
	t.Helper()
	var all []byte
	for i := from; i < to; i++ {
		all = append(all, mustEncode(t, started(i))...)
	}
	return string(all)
}
