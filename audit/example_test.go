package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// exampleLog makes a log in a directory of its own, whose key and clock are the
// same each time, so that the examples print the same. A program makes its key
// once, with ed25519.GenerateKey, and keeps it.
func exampleLog() (audit.Options, *audit.Log) {
	dir, err := os.MkdirTemp("", "log-")
	if err != nil {
		panic(err)
	}
	o := audit.Options{
		Path:       filepath.Join(dir, "log", "audit.jsonl"),
		SignedPath: filepath.Join(dir, "state", "last-signed.json"),
		Key:        ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)),
		Now:        func() time.Time { return time.UnixMilli(1764000000000) },
	}
	if err := audit.Create(o); err != nil { // once; Open makes nothing
		panic(err)
	}
	l, err := audit.Open(o)
	if err != nil {
		panic(err)
	}
	return o, l
}

func dispose(o audit.Options) { os.RemoveAll(filepath.Dir(filepath.Dir(o.Path))) }

// A log of one's own: an event is on the disk when Append has returned.
func Example() {
	o, l := exampleLog()
	defer dispose(o)
	ctx := context.Background()

	// The five events of remote execution have calls of their own.
	a := audit.NewAuditor(l, "")
	id := event.RequestID{0x75, 0x94}
	if err := a.Request(ctx, id, event.PartyID{}, event.PartyID{}, []string{"ls", "-la"}, nil, 0, 0); err != nil {
		panic(err) // it is not durable: do not run the command
	}
	if err := a.Started(ctx, id, 4711); err != nil {
		panic(err)
	}

	// Any event of a program's own begins with "x-".
	e, err := event.ParseInput([]byte(`{"event":"x-deploy","version":"1.2.3"}`), 1764000000001)
	if err != nil {
		panic(err)
	}
	at, err := l.Append(ctx, e)
	if err != nil {
		panic(err)
	}
	fmt.Println("record", at.Seq, "of log", at.Log.IDString()[:8])

	if err := l.Close(); err != nil { // which signs
		panic(err)
	}
	raw, err := os.ReadFile(o.Path)
	if err != nil {
		panic(err)
	}
	fmt.Print(string(bytes.SplitAfter(raw, []byte("\n"))[2]))
	// Output:
	// record 2 of log 1bf5e1d4
	// {"event":"x-deploy","ts_unix_ms":1764000000001,"version":"1.2.3"}
}

// Reading: records in order, each decoded to the type of its event.
func ExampleLog_reader() {
	o, l := exampleLog()
	defer dispose(o)
	ctx := context.Background()
	a := audit.NewAuditor(l, "")
	zero := int32(0)
	if err := errors.Join(
		a.Started(ctx, event.RequestID{1}, 4711),
		a.Exit(ctx, event.RequestID{1}, &zero, nil, 5*time.Millisecond, 969, 0, false),
	); err != nil {
		panic(err)
	}

	r := l.Reader(l.First())
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) { // for now: after l.Subscribe's wake-up there is more
			break
		}
		if err != nil {
			panic(err)
		}
		e, err := event.Decode(rec.Line)
		if err != nil {
			continue // kept and signed all the same, such as a line of an adopted file
		}
		switch e := e.(type) {
		case *event.Started:
			fmt.Println(rec.Seq, "started with pid", e.PID)
		case *event.Exit:
			fmt.Println(rec.Seq, "ended with code", *e.Code, "after", time.Duration(e.DurationMS)*time.Millisecond)
		}
	}
	fmt.Println("closed:", l.Close())
	// Output:
	// 0 started with pid 4711
	// 1 ended with code 0 after 5ms
	// closed: <nil>
}

// Verifying: the files are compared with what was signed. It needs no key, and
// changes nothing.
func ExampleVerify() {
	o, l := exampleLog()
	defer dispose(o)
	if _, err := l.Append(context.Background(), &event.Started{TSUnixMS: 1, RequestID: event.RequestID{1}, PID: 4711}); err != nil {
		panic(err)
	}
	if err := l.Close(); err != nil {
		panic(err)
	}
	verify := func() {
		report, err := audit.Verify(o.Path, audit.VerifyOptions{SignedPath: o.SignedPath})
		if err != nil {
			panic(err)
		}
		fmt.Println(report.Records, "record,", report.Signed, "signed, problems:", len(report.Problems))
	}
	verify()

	// Somebody changes one digit in the file.
	raw, err := os.ReadFile(o.Path)
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(o.Path, bytes.Replace(raw, []byte("4711"), []byte("4712"), 1), 0o600); err != nil {
		panic(err)
	}
	verify()
	// Output:
	// 1 record, 1 signed, problems: 0
	// 1 record, 1 signed, problems: 1
}

// A proof convinces whoever knows the node's peer id, and nothing else of it:
// package audit/merkle alone checks it.
func ExampleLog_prove() {
	o, l := exampleLog()
	defer dispose(o)
	for pid := uint32(1); pid <= 5; pid++ {
		if _, err := l.Append(context.Background(), &event.Started{TSUnixMS: 1, RequestID: event.RequestID{1}, PID: pid}); err != nil {
			panic(err)
		}
	}
	if err := l.Sign(); err != nil {
		panic(err)
	}
	p, err := l.Prove(3)
	if err != nil {
		panic(err)
	}
	text := p.Marshal() // a C2SP tlog-proof, to send to whom it may concern

	got, err := merkle.ParseProof(text)
	if err != nil {
		panic(err)
	}
	fmt.Printf("record %d of %d is %s\n", got.Index, got.Checkpoint.Size, got.Line)
	fmt.Println("says", got.Checkpoint.Log.Peer)

	_, err = merkle.ParseProof(bytes.Replace(text, []byte("index 3"), []byte("index 2"), 1))
	fmt.Println("another place:", err != nil)
	fmt.Println("closed:", l.Close())
	// Output:
	// record 3 of 5 is {"event":"started","ts_unix_ms":1,"request_id":"01000000000000000000000000000000","pid":4}
	// says 12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5
	// another place: true
	// closed: <nil>
}
