package audit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

func TestAppendReadRestart(t *testing.T) {
	o := testOptions(t, 1)
	l := openLog(t, o)
	if _, ok := l.Name(); ok {
		t.Error("an empty log has a name")
	}
	appendN(t, l, 0, 3)
	appendN(t, l, 3, 700)
	name, ok := l.Name()
	if !ok || name.ID != merkle.LeafHash(bytes.TrimSuffix(mustEncode(t, started(0)), []byte("\n"))) {
		t.Errorf("name %v", name)
	}
	if got := heldLines(t, l); got != startedLines(t, 0, 700) {
		t.Error("lines differ")
	}
	for _, from := range []uint64{0, 1, 255, 256, 257, 699} {
		r := l.Reader(from)
		rec, err := r.Next()
		if err != nil || rec.Seq != from || string(rec.Line)+"\n" != string(mustEncode(t, started(int(from)))) {
			t.Errorf("read at %d: %v %q", from, err, rec.Line)
		}
		r.Close()
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, o)
	if l.Size() != 700 || l.SignedSize() != 700 || l.Segments() != 1 {
		t.Errorf("after a clean restart: size %d, signed %d, %d segments", l.Size(), l.SignedSize(), l.Segments())
	}
	appendN(t, l, 700, 701)
	if raw, err := os.ReadFile(o.Path); err != nil || string(raw) != startedLines(t, 0, 701) {
		t.Errorf("the file at the path differs: %v", err)
	}
}

// Many callers share commits, and each is told its own position.
func TestGroupCommit(t *testing.T) {
	l := openLog(t, testOptions(t, 1))
	const callers, each = 32, 50
	var mu sync.Mutex
	seen := map[uint64]int{}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				n := c*each + i
				pos, err := l.Append(t.Context(), started(n))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[pos.Seq] = n
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	r := l.Reader(0)
	defer r.Close()
	for seq := range uint64(callers * each) {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if want := mustEncode(t, started(seen[seq])); string(rec.Line)+"\n" != string(want) {
			t.Fatalf("record %d is %q, its caller wrote %q", seq, rec.Line, want)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last record: %v", err)
	}
}

// Fault 1 and 5: a failed sync poisons, the append is in doubt, recovery goes on.
func TestFailedSyncPoisonsAndRecovers(t *testing.T) {
	for _, op := range []string{"sync", "write"} {
		t.Run(op, func(t *testing.T) {
			o := testOptions(t, 1)
			fsys := disktest.New(disk.OS{})
			o.FS = fsys
			l := openLog(t, o)
			appendN(t, l, 0, 10)
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			appendN(t, l, 10, 20)
			fsys.SetFail(func(got disktest.Op) (error, bool) {
				if got.Name == op && strings.HasSuffix(got.Path, ".jsonl") {
					return syscall.EIO, op == "sync"
				}
				return nil, false
			})
			if _, err := l.Append(t.Context(), started(20)); !errors.Is(err, ErrInDoubt) || !errors.Is(err, syscall.EIO) {
				t.Fatalf("the failed append: %v", err)
			}
			if l.Size() != 20 {
				t.Fatalf("durable size %d after a failed sync", l.Size())
			}
			if _, err := l.Append(t.Context(), started(21)); !errors.Is(err, ErrPoisoned) {
				t.Fatalf("an append after the failure: %v", err)
			}
			if err := l.Sign(); !errors.Is(err, ErrPoisoned) {
				t.Fatalf("signed while poisoned: %v", err)
			}
			if err := l.Recover(); op == "sync" && err == nil {
				t.Fatal("recovered while syncs still fail")
			}
			fsys.SetFail(nil)
			if err := l.Recover(); err != nil {
				t.Fatal(err)
			}
			if l.WriteFailures() == 0 {
				t.Error("the failure was not counted")
			}
			if err, last := l.Err(), l.LastFailure(); err != nil || last == "" {
				t.Errorf("state %v, last %q", err, last)
			}
			n := int(l.Size()) // 21 if the record in doubt turned up
			if op == "sync" && n != 21 || op == "write" && n != 20 {
				t.Errorf("size %d after recovery", n)
			}
			appendN(t, l, n, 30)
			if l.Segments() != 2 {
				t.Errorf("%d segments, want the lines beyond the checkpoint in a second", l.Segments())
			}
			if got := heldLines(t, l); got != startedLines(t, 0, 30) {
				t.Errorf("lines differ:\n%s", got)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l = openLog(t, o); l.Size() != 30 {
				t.Errorf("size %d after restart", l.Size())
			}
		})
	}
}

// crash leaves the files as a kill would: no last checkpoint, lock freed.
func crash(l *Log) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	if l.active.file != nil {
		l.active.file.Close()
	}
	l.lock.Close()
}

// Fault 3, 4, 9: what lies beyond the last checkpoint after an unclean end.
func TestUncleanEnd(t *testing.T) {
	zeros := strings.Repeat("\x00", 600)
	for _, c := range []struct {
		name, tail   string
		signed, size int
		torn         string
	}{
		{"unfinished line", `{"event":"sta`, 5, 8, `{"event":"sta`},
		{"nothing signed", `{"event":"sta`, 0, 8, `{"event":"sta`},
		{"zeros", zeros, 5, 8, zeros},
		{"zeros and lines after", "{\"e" + zeros + "\n{\"event\":\"x-a\",\"ts_unix_ms\":1}\n", 5, 8, "{\"e" + zeros + "\n{\"event\":\"x-a\",\"ts_unix_ms\":1}\n"},
		{"clean", "", 5, 8, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(t, 1)
			l := openLog(t, o)
			if c.signed > 0 {
				appendN(t, l, 0, c.signed)
				if err := l.Sign(); err != nil {
					t.Fatal(err)
				}
			}
			appendN(t, l, c.signed, c.size)
			crash(l)
			f, err := os.OpenFile(o.Path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString(c.tail)
			f.Close()
			l = openLog(t, o)
			if int(l.Size()) != c.size {
				t.Fatalf("size %d, want %d", l.Size(), c.size)
			}
			torn, _ := filepath.Glob(filepath.Dir(o.Path) + "/*.torn")
			if (len(torn) == 1) != (c.torn != "") {
				t.Fatalf("torn files: %v", torn)
			}
			if c.torn != "" {
				if raw, _ := os.ReadFile(torn[0]); string(raw) != c.torn {
					t.Errorf("set aside %q", raw)
				}
			}
			appendN(t, l, c.size, c.size+2)
			if got := heldLines(t, l); got != startedLines(t, 0, c.size+2) {
				t.Errorf("lines differ:\n%s", got)
			}
		})
	}
}

// A crash at any step of recovery is mended by the next start.
func TestCrashDuringRecovery(t *testing.T) {
	for k := 0; ; k++ {
		for _, after := range []bool{false, true} {
			o := testOptions(t, 1)
			l := openLog(t, o)
			appendN(t, l, 0, 5)
			if err := l.Sign(); err != nil {
				t.Fatal(err)
			}
			appendN(t, l, 5, 9)
			crash(l)
			f, _ := os.OpenFile(o.Path, os.O_WRONLY|os.O_APPEND, 0)
			f.WriteString("{\"torn")
			f.Close()
			fsys := disktest.New(disk.OS{})
			n, hit := 0, false
			fsys.SetFail(func(disktest.Op) (error, bool) {
				n++
				if n > k { // dead from here on
					first := !hit
					hit = true
					return syscall.EIO, after && first
				}
				return nil, false
			})
			o.FS = fsys
			if l, err := Open(o); err == nil {
				if hit {
					t.Fatalf("operation %d failed and Open succeeded", k)
				}
				l.Close()
				return // all operations were tried
			}
			o.FS = disk.OS{}
			l = openLog(t, o)
			if got := heldLines(t, l); got != startedLines(t, 0, 9) {
				t.Fatalf("crash at operation %d (after %v): lines differ:\n%s", k, after, got)
			}
			appendN(t, l, 9, 10)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRefusedLogs(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, o Options)
		want  error // nil: a *DamageError
	}{
		{"a changed byte", func(t *testing.T, o Options) {
			raw, _ := os.ReadFile(o.Path)
			raw[30] ^= 1
			os.WriteFile(o.Path, raw, 0o600)
		}, nil},
		{"cut", func(t *testing.T, o Options) {
			os.Truncate(o.Path, int64(len(startedLines(t, 0, 4))))
		}, nil},
		{"cut with its checkpoints", func(t *testing.T, o Options) {
			os.Truncate(o.Path, int64(len(startedLines(t, 0, 4))))
			os.Remove(filepath.Dir(o.Path) + "/audit.checkpoints")
		}, ErrBehind},
		{"gone", func(t *testing.T, o Options) { os.RemoveAll(filepath.Dir(o.Path)) }, ErrBehind},
		{"state gone", func(t *testing.T, o Options) { os.Remove(o.SignedPath) }, ErrNoSignedState},
		{"state of before", func(t *testing.T, o Options) {
			InitSignedState(o.FS, o.SignedPath, merkle.PeerID(o.Key.Public().(edPublic)))
		}, ErrBehind},
		{"checkpoint damaged", func(t *testing.T, o Options) {
			path := filepath.Dir(o.Path) + "/audit.checkpoints"
			raw, _ := os.ReadFile(path)
			raw[len(raw)/2] ^= 1
			os.WriteFile(path, raw, 0o600)
		}, nil},
		{"another file at the path", func(t *testing.T, o Options) {
			os.Remove(o.Path)
			os.WriteFile(o.Path, []byte("{}\n"), 0o600)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(t, 1)
			l := openLog(t, o)
			appendN(t, l, 0, 10)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, o)
			l, err := Open(o)
			if err == nil {
				l.Close()
				t.Fatal("opened")
			}
			var damage *segment.DamageError
			if c.want == nil && !errors.As(err, &damage) || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v or damage", err, c.want)
			}
		})
	}
}

// Fault 16.
func TestSecondInstanceIsRefused(t *testing.T) {
	o := testOptions(t, 1)
	openLog(t, o)
	if _, err := Open(o); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process ") {
		t.Fatalf("%v", err)
	}
}

// Fault 12: an existing file is opened as it is, on two nodes at once.
// A file that another program has open for writing is not taken over.
func TestAdoptionWhileWritten(t *testing.T) {
	o := testOptions(t, 1)
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := os.Create(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString(startedLines(t, 0, 3)); err != nil {
		t.Fatal(err)
	}
	if l, err := OpenOrCreate(o); !errors.Is(err, ErrForeignWrite) || !strings.Contains(err.Error(), "audit_follow_path") {
		if err == nil {
			l.Close()
		}
		t.Fatalf("taken over while it is written: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if l := openLog(t, o); l.Size() != 3 || !l.Adopted() {
		t.Errorf("adopted %v, %d records", l.Adopted(), l.Size())
	}
}

func TestAdoption(t *testing.T) {
	golden, err := os.ReadFile("event/testdata/golden/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	spoilt := string(golden) + "garbage \x00\x00\x00\x00\x00\x00\x00\x00\x00 \xff\n" + string(golden[:bytes.IndexByte(golden, '\n')+1])
	var names []merkle.LogName
	for seed := byte(1); seed <= 2; seed++ {
		o := testOptions(t, seed)
		os.MkdirAll(filepath.Dir(o.Path), 0o700)
		os.WriteFile(o.Path, []byte(spoilt+"{\"unfinished"), 0o600)
		l := openLog(t, o)
		if !l.Adopted() || l.Size() != 82 {
			t.Fatalf("adopted %v, size %d", l.Adopted(), l.Size())
		}
		if got := heldLines(t, l); got != spoilt {
			t.Error("lines differ")
		}
		crash(l) // before anything was signed: still adopted, nothing copied
		l = openLog(t, o)
		if l.Segments() != 1 || l.Size() != 82 {
			t.Errorf("%d segments, size %d", l.Segments(), l.Size())
		}
		if _, err := l.Append(t.Context(), started(1)); err != nil {
			t.Fatal(err)
		}
		name, _ := l.Name()
		names = append(names, name)
	}
	if names[0].ID != names[1].ID || names[0] == names[1] {
		t.Errorf("names %v: want one log id under two nodes", names)
	}
}

func TestOverloadAndClose(t *testing.T) {
	o := testOptions(t, 1)
	o.MaxPending = 10
	fsys := disktest.New(disk.OS{})
	o.FS = fsys
	l := openLog(t, o)
	release, inSync := make(chan struct{}), make(chan struct{})
	fsys.SetFail(func(op disktest.Op) (error, bool) {
		if op.Name == "sync" && strings.HasSuffix(op.Path, ".jsonl") {
			inSync <- struct{}{}
			<-release
		}
		return nil, false
	})
	results := make(chan error, 2)
	add := func(n int) {
		_, err := l.Append(context.Background(), started(n))
		results <- err
	}
	go add(0)
	<-inSync
	go add(1) // waits for the next commit
	for waiting := false; !waiting; {
		l.mu.Lock()
		waiting = l.next != nil
		l.mu.Unlock()
	}
	if _, err := l.Append(t.Context(), started(2)); !errors.Is(err, ErrOverloaded) {
		t.Fatalf("beyond the bound: %v", err)
	}
	go func() { release <- struct{}{}; <-inSync; fsys.SetFail(nil); release <- struct{}{} }()
	for range 2 {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), started(3)); !errors.Is(err, ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
}
