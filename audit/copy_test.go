package audit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

func verified(t testing.TB, b *merkle.Batch) *merkle.VerifiedBatch {
	t.Helper()
	v, err := b.Verify()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func batchFrom(t testing.TB, h interface {
	Batch(uint64) (*merkle.Batch, error)
}, from uint64) *merkle.VerifiedBatch {
	t.Helper()
	b, err := h.Batch(from)
	if err != nil {
		t.Fatal(err)
	}
	return verified(t, b)
}

func openCopy(t testing.TB, fsys disk.FS, dir string, name merkle.LogName) *Copy {
	t.Helper()
	c, err := OpenCopy(fsys, dir, name, 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func extend(t testing.TB, c *Copy, v *merkle.VerifiedBatch, want Outcome) {
	t.Helper()
	if got, err := c.Extend(v); err != nil || got != want {
		t.Fatalf("extend by [%d, %d): %v, %v, want %v", v.First, v.End(), got, err, want)
	}
}

// A copy follows a log in any order of batches, over restarts, and serves the
// same lines on, in runs joined into larger batches.
func TestCopyFollows(t *testing.T) {
	l := openLog(t, testOptions(t, 1))
	var batches []*merkle.VerifiedBatch
	const n = 600
	for i := range n {
		appendN(t, l, i, i+1)
		if i%3 == 0 || i == n-1 {
			from := l.SignedSize()
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			batches = append(batches, batchFrom(t, l, from))
		}
	}
	name, _ := l.Name()
	dir := t.TempDir() + "/copies/p/l"
	c := openCopy(t, disk.OS{}, dir, name)
	extend(t, c, batches[2], Hole)
	for _, b := range batches[:100] {
		extend(t, c, b, Extended)
		extend(t, c, b, Known)
	}
	extend(t, c, batches[50], Known)
	c = openCopy(t, disk.OS{}, dir, name)
	if c.Size() != 298 || c.SignedSize() != 298 {
		t.Fatalf("after reopening: %d records, %d signed", c.Size(), c.SignedSize())
	}
	extend(t, c, batchFrom(t, l, 290), Extended) // overlaps what is held
	if got := heldLines(t, c); got != startedLines(t, 0, n) {
		t.Fatal("lines differ")
	}
	whole := batchFrom(t, c, 0)
	if whole.First != 0 || whole.End() != n {
		t.Errorf("the copy serves [%d, %d), want one batch of all", whole.First, whole.End())
	}
	for _, from := range []uint64{1, 255, 256, 300, n - 1} {
		if b := batchFrom(t, c, from); b.First != from || b.End() != n {
			t.Errorf("batch from %d: [%d, %d)", from, b.First, b.End())
		}
	}
	if _, err := c.Batch(n); !errors.Is(err, io.EOF) {
		t.Errorf("beyond the end: %v", err)
	}
	if got := string(whole.Line(7)) + "\n"; got != string(mustEncode(t, started(7))) {
		t.Errorf("line 7 is %q", got)
	}
}

// What is new at once may be larger than a batch: then checkpoints are signed
// on the way, and every part of the log can be served.
func TestRunsAreBounded(t *testing.T) {
	l := openLog(t, testOptions(t, 1))
	long := strings.Repeat("a", 200<<10)
	for range 13 {
		if _, err := l.Append(t.Context(), &event.Request{Argv: []string{long}}); err != nil {
			t.Fatal(err)
		}
	}
	appendN(t, l, 13, 13+merkle.MaxBatchRecords+5)
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	name, _ := l.Name()
	c := openCopy(t, disk.OS{}, t.TempDir()+"/c/p/l", name)
	for i := 0; c.Size() < l.Size(); i++ {
		extend(t, c, batchFrom(t, l, c.Size()), Extended)
	}
	if heldLines(t, c) != heldLines(t, l) {
		t.Error("lines differ")
	}
	again := openCopy(t, disk.OS{}, t.TempDir()+"/c/p/l", name)
	for again.Size() < l.Size() {
		extend(t, again, batchFrom(t, c, again.Size()), Extended)
	}
}

func TestBadBatches(t *testing.T) {
	l := openLog(t, testOptions(t, 1))
	appendN(t, l, 0, 10)
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	appendN(t, l, 10, 20)
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	fresh := func() *merkle.Batch {
		b, err := l.Batch(5)
		if err != nil {
			t.Fatal(err)
		}
		return &merkle.Batch{Log: b.Log, First: b.First, Frontier: append([]merkle.Hash{}, b.Frontier...), Lines: bytes.Clone(b.Lines), Checkpoint: bytes.Clone(b.Checkpoint)}
	}
	for name, spoil := range map[string]func(*merkle.Batch){
		"a changed byte":       func(b *merkle.Batch) { b.Lines[40] ^= 1 },
		"another's name":       func(b *merkle.Batch) { b.Log.Peer = merkle.PeerID(testKey(2).Public().(edPublic)) },
		"another log":          func(b *merkle.Batch) { b.Log.ID[0] ^= 1 },
		"a line less":          func(b *merkle.Batch) { b.Lines = b.Lines[bytes.IndexByte(b.Lines, '\n')+1:] },
		"no last newline":      func(b *merkle.Batch) { b.Lines = b.Lines[:len(b.Lines)-1] },
		"nothing":              func(b *merkle.Batch) { b.Lines = nil },
		"too many bytes":       func(b *merkle.Batch) { b.Lines = bytes.Repeat([]byte{'\n'}, merkle.MaxBatchBytes+1) },
		"too many records":     func(b *merkle.Batch) { b.Lines = bytes.Repeat([]byte{'\n'}, merkle.MaxBatchRecords+1) },
		"another place":        func(b *merkle.Batch) { b.First, b.Frontier = 4, b.Frontier[:1] },
		"a frontier too short": func(b *merkle.Batch) { b.Frontier = b.Frontier[:1] },
		"a changed frontier":   func(b *merkle.Batch) { b.Frontier[0][3] ^= 1 },
		"a changed signature":  func(b *merkle.Batch) { b.Checkpoint[len(b.Checkpoint)-20] ^= 1 },
	} {
		b := fresh()
		if _, err := b.Verify(); err != nil {
			t.Fatal(err)
		}
		spoil(b)
		if _, err := b.Verify(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A rewritten past: the node signed two logs that begin alike.
func TestConflictIsRefused(t *testing.T) {
	honest, forked := openLog(t, testOptions(t, 1)), openLog(t, testOptions(t, 1))
	appendN(t, honest, 0, 10)
	appendN(t, forked, 0, 5)
	if _, err := forked.AppendBatch(t.Context(), []event.Event{started(99), started(98), started(97), started(96), started(95), started(94)}); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Log{honest, forked} {
		if err := l.Sign(); err != nil {
			t.Fatal(err)
		}
	}
	name, _ := honest.Name()
	c := openCopy(t, disk.OS{}, t.TempDir()+"/c/p/l", name)
	extend(t, c, batchFrom(t, honest, 0), Extended)
	for _, from := range []uint64{0, 5, 7, 10} {
		bad := batchFrom(t, forked, from)
		extend(t, c, bad, Conflict)
	}
	if heldLines(t, c) != startedLines(t, 0, 10) {
		t.Error("the copy changed")
	}
}

// A crash or failure at any operation of Extend leaves a copy that states what
// it holds, and goes on.
func TestCopyCrash(t *testing.T) {
	l := openLog(t, testOptions(t, 1))
	appendN(t, l, 0, 5)
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	first := batchFrom(t, l, 0)
	appendN(t, l, 5, 9)
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	second := batchFrom(t, l, 5)
	name, _ := l.Name()
	for k := 0; ; k++ {
		fsys := disktest.New(disk.OS{})
		dir := t.TempDir() + "/c/p/l"
		c := openCopy(t, fsys, dir, name)
		n, hit := 0, false
		fsys.SetFail(func(disktest.Op) (error, bool) {
			n++
			hit = hit || n > k
			if n == k+1 {
				return syscall.EIO, true
			}
			return nil, false
		})
		for _, b := range []*merkle.VerifiedBatch{first, second} {
			if _, err := c.Extend(b); err != nil {
				break
			}
		}
		reopened := openCopy(t, disk.OS{}, dir, name)
		if reopened.Size() < c.Size() || reopened.Size() != reopened.SignedSize() {
			t.Fatalf("operation %d: %d records after reopening, %d were held, %d signed", k, reopened.Size(), c.Size(), reopened.SignedSize())
		}
		// The one that failed goes on without a restart.
		for _, b := range []*merkle.VerifiedBatch{first, second} {
			if _, err := c.Extend(b); err != nil {
				t.Fatalf("operation %d: after the failure: %v", k, err)
			}
		}
		if heldLines(t, c) != startedLines(t, 0, 9) {
			t.Fatalf("operation %d: lines differ", k)
		}
		if !hit {
			return
		}
	}
}

func TestVerify(t *testing.T) {
	o := testOptions(t, 1)
	l := openLog(t, o)
	appendN(t, l, 0, 300)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath})
	if err != nil || len(rep.Problems) > 0 || rep.Records != 300 || rep.Signed != 300 || rep.Log == "" {
		t.Fatalf("%+v, %v", rep, err)
	}
	raw, _ := os.ReadFile(o.Path)
	for offset := 0; offset < len(raw); offset += 997 {
		bad := bytes.Clone(raw)
		bad[offset] ^= 4
		os.WriteFile(o.Path, bad, 0o600)
		rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath})
		if err != nil || len(rep.Problems) == 0 {
			t.Errorf("a flipped bit at %d went unseen: %+v, %v", offset, rep, err)
		}
	}
	for _, size := range []int{0, 100, len(raw) - 1} {
		os.WriteFile(o.Path, raw[:size], 0o600)
		if rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath}); err != nil || len(rep.Problems) == 0 {
			t.Errorf("cut at %d went unseen: %+v, %v", size, rep, err)
		}
	}
	os.WriteFile(o.Path, raw, 0o600)
	os.Remove(filepath.Dir(o.Path) + "/audit.checkpoints")
	if rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath}); err != nil || len(rep.Problems) == 0 {
		t.Errorf("lost checkpoints went unseen: %+v, %v", rep, err)
	}
}

// A log may be verified while it is written.
func TestVerifyInUse(t *testing.T) {
	o := testOptions(t, 1)
	l := openLog(t, o)
	appendN(t, l, 0, 1)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := l.Append(t.Context(), started(i)); err != nil {
				t.Error(err)
			}
			if err := l.Sign(); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 12 {
		rep, err := Verify(o.Path, VerifyOptions{SignedPath: o.SignedPath})
		if err != nil || len(rep.Problems) > 0 {
			t.Errorf("%+v, %v", rep, err)
			break
		}
	}
	close(stop)
	<-done
}

func TestAuditor(t *testing.T) {
	off := NewAuditor(nil, "")
	if err := off.Started(t.Context(), event.RequestID{}, 1); err != nil || off.WriteFailures() != 0 {
		t.Errorf("disabled: %v", err)
	}
	l := openLog(t, testOptions(t, 1))
	a := NewAuditor(l, "ops")
	code, n := int32(3), uint64(9)
	for _, err := range []error{
		a.Request(t.Context(), event.RequestID{1}, event.PartyID{2}, event.PartyID{3}, []string{"ls"}, nil, 0, 10),
		a.Started(t.Context(), event.RequestID{1}, 5),
		a.Warning(t.Context(), event.RequestID{1}, "cancelled", &n),
		a.Exit(t.Context(), event.RequestID{1}, &code, nil, 1500e6, 1, 2, true),
		a.Denial(t.Context(), event.RequestID{2}, event.PartyID{2}, event.PartyID{3}, []string{"rm"}, "exec_disabled"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	id, ok := a.TasklistID()
	if got := heldLines(t, l); strings.Count(got, "\n") != 5 || !strings.Contains(got, `"duration_ms":1500`) || id != "ops" || !ok {
		t.Errorf("%s", got)
	}
}

// Whoever looks at a copy while it is extended sees a checkpoint of no more
// lines than can be read.
func TestCopyIsConsistentWhileExtended(t *testing.T) {
	l := openLog(t, testOptions(t, 1))
	appendN(t, l, 0, 1)
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	name, _ := l.Name()
	c := openCopy(t, disk.OS{}, t.TempDir()+"/c/p/l", name)
	extend(t, c, batchFrom(t, l, 0), Extended)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			head, _ := c.Head()
			if size := c.Size(); size < head.Size {
				t.Errorf("a checkpoint of %d records, %d can be read", head.Size, size)
				return
			}
			if _, err := c.Batch(0); err != nil {
				t.Errorf("a batch while the copy grows: %v", err)
				return
			}
		}
	}()
	for i := 1; i < 150; i++ {
		appendN(t, l, i, i+1)
		if err := l.Sign(); err != nil {
			t.Fatal(err)
		}
		extend(t, c, batchFrom(t, l, c.Size()), Extended)
	}
	close(stop)
	<-done
}
