package audit

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"

	"auditmesh/audit/disk"
)

// Space is what is free on the file system of a log.
type Space struct {
	Free  uint64 // bytes, as last looked
	Floor uint64 // bytes; 0: nobody looks
	Low   bool
}

// Space says how much is free for the log, as it was at the last commit or tick.
func (l *Log) Space() Space {
	return Space{l.space.free.Load(), uint64(l.opts.MinFree), l.space.low.Load()}
}

// space is what a log knows of its file system. The committer and Run look, Run
// records.
type space struct {
	free atomic.Uint64
	low  atomic.Bool
	owed atomic.Bool // a record that space is low
}

// maxReserve is what is set aside on the disk for the record that it is full.
const maxReserve = 1 << 20

// lookAtSpace compares what is free with the floor, and wakes Run when that has
// changed. Between a fifth above the floor and the floor it stays as it is.
func (l *Log) lookAtSpace() {
	if l.opts.MinFree <= 0 {
		return
	}
	free, err := l.opts.FS.Free(l.files.Dir)
	if err != nil {
		return // it is looked at again; nothing depends on it
	}
	l.space.free.Store(free)
	floor, low := uint64(l.opts.MinFree), l.space.low.Load()
	switch {
	case !low && free < floor:
		l.space.low.Store(true)
		l.space.owed.Store(true)
		l.opts.Logger.Warn("the disk of the log is nearly full: make room, or move the log; appends are refused once it is full",
			slog.String("directory", l.files.Dir), slog.Uint64("free bytes", free), slog.Uint64("floor", floor))
		l.wake()
	case low && free >= floor+floor/5:
		l.space.low.Store(false)
		l.wake()
	}
}

// keepReserve has room set aside while there is plenty.
func (l *Log) keepReserve() {
	if l.opts.MinFree <= 0 || l.space.low.Load() {
		return
	}
	fsys, path := l.opts.FS, l.files.Reserve()
	if there, err := disk.Exists(fsys, path); there || err != nil {
		return
	}
	// Written, not only allotted: that holds on every file system.
	f, err := fsys.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(make([]byte, min(maxReserve, l.opts.MinFree/4)))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		l.opts.Logger.Warn("no room was set aside for the record of a full disk", slog.Any("error", err))
		l.freeReserve()
	}
}

func (l *Log) freeReserve() {
	if err := l.opts.FS.Remove(l.files.Reserve()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.opts.Logger.Warn("the room that was set aside on the disk is not freed", slog.Any("error", err))
	}
}

// full says whether an error is that of a disk without space.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
