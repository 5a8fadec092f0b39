package holdings

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"os"
	"testing"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// signedLog is a log of ten events, the last of which differ by their pids, signed.
func signedLog(t *testing.T, pid uint32) *audit.Log {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	dir := t.TempDir()
	o := audit.Options{Path: dir + "/log/audit.jsonl", SignedPath: dir + "/state/last-signed.json", Key: key}
	if err := audit.InitSignedState(disk.OS{}, o.SignedPath, merkle.PeerID(key.Public().(ed25519.PublicKey))); err != nil {
		t.Fatal(err)
	}
	l, err := audit.OpenOrCreate(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var events []event.Event
	for i := range uint64(10) {
		e := &event.Started{TSUnixMS: i, PID: 1}
		if i >= 5 {
			e.PID = pid
		}
		events = append(events, e)
	}
	if _, err := l.AppendBatch(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	return l
}

func verified(t *testing.T, l *audit.Log, from uint64) *merkle.VerifiedBatch {
	t.Helper()
	b, err := l.Batch(from)
	if err != nil {
		t.Fatal(err)
	}
	v, err := b.Verify()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A node that signed two pasts: the second is refused, and kept as evidence that
// checks by itself.
func TestConflictIsKept(t *testing.T) {
	honest, forked := signedLog(t, 1), signedLog(t, 2)
	evidence := t.TempDir()
	h, err := Open(Options{FS: disk.OS{}, Dir: t.TempDir(), Evidence: evidence, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if got, err := h.Extend(verified(t, honest, 0)); err != nil || got != audit.Extended {
		t.Fatal(got, err)
	}
	if got, err := h.Extend(verified(t, forked, 0)); err != nil || got != audit.Conflict {
		t.Fatal(got, err)
	}
	name, _ := honest.Name()
	if h.Conflicts()[name] != 1 {
		t.Errorf("conflicts: %v", h.Conflicts())
	}
	files, err := os.ReadDir(evidence)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	raw, err := os.ReadFile(evidence + "/" + files[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	var e Evidence
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	a, errA := merkle.ParseCheckpoint([]byte(e.Held))
	b, errB := merkle.ParseCheckpoint([]byte(e.Refused))
	_, errC := (&merkle.Batch{Log: b.Log, First: e.First, Frontier: e.Frontier, Lines: e.Lines, Checkpoint: []byte(e.Refused)}).Verify()
	if errA != nil || errB != nil || errC != nil || a.Log != b.Log || a.Root == b.Root {
		t.Errorf("evidence does not check: %v %v %v", errA, errB, errC)
	}
}
