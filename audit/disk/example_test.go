package disk_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/event"
)

// badDisk is the host's file system, but for syncs, which fail while broken is set.
type badDisk struct {
	disk.OS
	broken atomic.Bool
}

func (d *badDisk) OpenFile(path string, flag int, perm fs.FileMode) (disk.File, error) {
	f, err := d.OS.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	return &badFile{f, d}, nil
}

type badFile struct {
	disk.File
	disk *badDisk
}

func (f *badFile) Sync() error {
	if f.disk.broken.Load() {
		return errors.New("the disk is on fire")
	}
	return f.File.Sync()
}

// A file system that fails on purpose shows how a program meets a bad disk. A log
// whose sync failed answers nothing more until it has recovered.
func ExampleFS() {
	dir, err := os.MkdirTemp("", "log-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	fsys := &badDisk{}
	o := audit.Options{
		FS: fsys, Path: filepath.Join(dir, "log", "audit.jsonl"), SignedPath: filepath.Join(dir, "state", "last-signed.json"),
		Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)),
	}
	if err := audit.Create(o); err != nil {
		panic(err)
	}
	l, err := audit.Open(o)
	if err != nil {
		panic(err)
	}
	try := func(what string, pid uint32) {
		_, err := l.Append(context.Background(), &event.Started{TSUnixMS: 1, PID: pid})
		fmt.Printf("%s: durable %v, in doubt %v, not written %v\n", what, err == nil, errors.Is(err, audit.ErrInDoubt), errors.Is(err, audit.ErrPoisoned))
	}
	try("a good disk", 1)
	fsys.broken.Store(true)
	try("a bad one", 2)
	fsys.broken.Store(false)
	try("good again, not recovered", 3)
	if err := l.Recover(); err != nil { // l.Run does it by itself
		panic(err)
	}
	try("recovered", 4)
	fmt.Println("failures:", l.WriteFailures(), "closed:", l.Close())
	// Output:
	// a good disk: durable true, in doubt false, not written false
	// a bad one: durable false, in doubt true, not written false
	// good again, not recovered: durable false, in doubt false, not written true
	// recovered: durable true, in doubt false, not written false
	// failures: 1 closed: <nil>
}
