package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// Errors of a log. Each is wrapped with what happened and what to do.
var (
	// ErrInDoubt: the write or the sync of these records failed. They may turn
	// up in the log after recovery, or not.
	ErrInDoubt = errors.New("in doubt: the records may or may not be in the log")
	// ErrPoisoned: an earlier write failed and the log has not recovered yet.
	// Nothing of this append was written. (HTTP 503)
	ErrPoisoned = errors.New("the log is not writable since a write failed; it recovers by itself once the disk answers")
	// ErrOverloaded: more waits to be committed than memory is set aside for.
	// Nothing of this append was written; try again. (HTTP 429)
	ErrOverloaded = errors.New("too much waits to be committed")
	// ErrClosed: the log was closed. (HTTP 503)
	ErrClosed = errors.New("the log is closed")
	// ErrLocked: another process writes the log.
	ErrLocked = disk.ErrLocked
	// ErrBehind: the log is not the one that the last-signed state tells of. It
	// is not signed any further.
	ErrBehind = errors.New("the log does not agree with the last-signed state")
)

// Options says where a log is and what it works with. FS, Now, Logger and
// MaxPending have defaults: the host's files, its clock, silence, 64 MiB.
type Options struct {
	// Path is the active file, "…/audit.jsonl". Segments, checkpoints and the
	// lock stand beside it.
	Path string
	// SignedPath is the file of the last-signed state, in another directory.
	// InitSignedState or Create makes it.
	SignedPath string
	Key        ed25519.PrivateKey
	FS         disk.FS
	Now        func() time.Time
	Logger     *slog.Logger
	// MaxPending bounds the bytes that wait for a commit.
	MaxPending int
	// A segment is sealed when it has SegmentBytes (default 128 MiB) or is
	// SegmentAge old (0: never for its age), and has records.
	SegmentBytes int64
	SegmentAge   time.Duration
	// MinFree is the floor of free bytes on the log's file system beneath which
	// that is said in Space and in a record; 0: nobody looks.
	MinFree int64
	// MaxArgvBytes bounds the arguments of a request or denial that is appended,
	// together; 0: only a line's own bound does.
	MaxArgvBytes int
}

// store is the reading side that a log and a copy share. Its methods are theirs.
type store = segment.Store

// Log is a node's own log.
type Log struct {
	store
	owner  string // the node's peer id
	seq    *segment.Sequence
	kept   *segment.Checkpoints
	opts   Options
	files  segment.Layout
	signer note.Signer
	lock   disk.Lock

	failures atomic.Uint64
	sealed   []string // ids of logs that are never signed again; set by recovery
	adopted  bool
	create   bool          // make the first segment where there is none
	hint     chan struct{} // wakes Run after a failure, and after a rotation

	largeGroups sync.Pool // of *groupMemory

	space space

	signMu sync.Mutex // held while signing and while recovering

	mu      sync.Mutex
	active  active       // guarded by mu unless busy; the committer's while busy
	busy    bool         // guarded by mu: a commit is under way
	next    *commitGroup // guarded by mu: the records that wait for it to end
	pending int          // guarded by mu: bytes of next
	failed  error        // guarded by mu: why the log is poisoned
	lastErr string       // guarded by mu: the last failure, kept after recovery
	// incident is what the log is owed a record of; guarded by mu.
	incident *event.LogWriteFailed
	closed   bool // guarded by mu
}

func (o *Options) fill() {
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxPending == 0 {
		o.MaxPending = 64 << 20
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = segment.DefaultSegmentBytes
	}
}

// Open opens the log at o.Path, which Create, Adopt or OpenOrCreate made. It takes
// the lock, recovers from an unclean end, and refuses, changing nothing, where a
// file is damaged (*DamageError), where the log is not what was last signed
// (ErrBehind, ErrNoSignedState), in use (ErrLocked), or was never made
// (fs.ErrNotExist).
func Open(o Options) (*Log, error) {
	o.fill()
	return open(o, false)
}

// open opens a log, and with create makes the first segment where there is none.
func open(o Options, create bool) (*Log, error) {
	signer, err := merkle.NewSigner(o.Key)
	if err != nil {
		return nil, err
	}
	l := &Log{opts: o, signer: signer, hint: make(chan struct{}, 1), files: segment.LayoutOf(o.Path), create: create}
	l.largeGroups.New = func() any { return new(groupMemory) }
	l.owner = merkle.PeerID(o.Key.Public().(ed25519.PublicKey))
	l.seq, l.kept = segment.NewSequence(o.FS, l.files), segment.NewCheckpoints(o.FS, l.files.Checkpoints())
	l.store = segment.NewStore(l.owner, l.seq, l.kept)
	if !create {
		if err := l.refuseNothing(); err != nil {
			return nil, err
		}
	}
	if l.lock, err = o.takeLocks(l.files); err != nil {
		return nil, fmt.Errorf("%w; stop it, or use its node through the socket", err)
	}
	if err := l.recover(0); err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	l.create = false // recovery finds what was made, or says that it is gone
	return l, nil
}

// refuseNothing refuses to open where there is no segment, before a lock file is
// made: what was signed and is gone, or nothing that ever was.
func (l *Log) refuseNothing() error {
	segs, err := segment.List(l.opts.FS, l.files)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil || len(segs) > 0 {
		return err
	}
	signed, err := readSigned(l.opts.FS, l.opts.SignedPath, l.owner)
	switch {
	case errors.Is(err, ErrNoSignedState):
		return fmt.Errorf("%w; %w", errNoLog(l.opts), err)
	case err != nil:
		return err
	case signed.Pending != nil:
		return fmt.Errorf("%w: %w", ErrBehind, errSuccession)
	case signed.Size > 0:
		return l.gone(signed)
	}
	return errNoLog(l.opts)
}

// Peer is the peer id of the log's node.
func (l *Log) Peer() string { return l.owner }

// Path is the active file.
func (l *Log) Path() string { return l.opts.Path }

// Owns says whether a path is that of one of the log's own files.
func (l *Log) Owns(path string) bool {
	return path == filepath.Clean(l.opts.Path) || filepath.Dir(path) == l.files.Dir && l.files.Owns(filepath.Base(path))
}

// Adopted says whether this OpenOrCreate took over a JSONL file that stood there,
// whose lines the mesh will now see.
func (l *Log) Adopted() bool { return l.adopted }

// WriteFailures counts the writes and syncs that failed since Open.
func (l *Log) WriteFailures() uint64 { return l.failures.Load() }

// Err says why the log is not writable now, or returns nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	return l.failed
}

// LastFailure is the text of the last failed write, kept after recovery; empty
// if none failed.
func (l *Log) LastFailure() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastErr
}

const (
	signEvery      = 5 * time.Second
	firstRecovery  = 100 * time.Millisecond
	slowedRecovery = 10 * time.Second
)

// Run signs on a timer while something is new, and recovers the log after a
// failed write, trying again with growing pauses, until ctx ends. It returns nil.
func (l *Log) Run(ctx context.Context) error {
	ticker := time.NewTicker(signEvery)
	defer ticker.Stop()
	pause := firstRecovery
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			l.record(context.WithoutCancel(ctx))
			return nil
		case <-ticker.C:
			l.upkeep(ctx)
			continue
		case <-l.hint:
			l.upkeep(ctx)
		case <-retry:
		}
		if l.Err() == nil {
			continue
		}
		if full(l.Err()) {
			l.freeReserve()
		}
		if err := l.Recover(); err != nil {
			l.opts.Logger.Warn("log not recovered yet", slog.Duration("next try in", pause), slog.Any("error", err))
			retry = time.After(pause)
			pause = min(2*pause, slowedRecovery)
			continue
		}
		pause, retry = firstRecovery, nil
		l.lookAtSpace()
		l.record(ctx)
	}
}

// upkeep signs what is new, and seals a segment that is old enough.
func (l *Log) upkeep(ctx context.Context) {
	l.lookAtSpace()
	if l.Err() != nil {
		return
	}
	l.keepReserve()
	l.record(ctx)
	if err := l.Sign(); err != nil && !errors.Is(err, ErrPoisoned) {
		l.opts.Logger.Warn("checkpoint not signed", slog.Any("error", err))
	}
	l.rotateAged()
}

func (l *Log) wake() {
	select {
	case l.hint <- struct{}{}:
	default:
	}
}

// Recover reopens a poisoned log. It is called by Run; a program that does not
// use Run calls it itself. It does nothing when the log is well.
func (l *Log) Recover() error {
	l.signMu.Lock()
	defer l.signMu.Unlock()
	l.mu.Lock()
	if l.failed == nil || l.busy || l.closed {
		l.mu.Unlock()
		return nil
	}
	l.busy = true // keeps committers out; the file is ours
	l.mu.Unlock()
	err := l.recover(l.Size())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
	if err != nil {
		l.failedLocked(err)
		return err
	}
	l.failed = nil
	l.opts.Logger.Info("log recovered", slog.Uint64("size", l.Size()))
	return nil
}

// Close signs what is new, and frees the files and the lock. Appends that wait
// are committed first; later ones fail with ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.signMu.Lock() // a recovery under way ends first; none begins once closed
	l.drain()
	l.signMu.Unlock()
	var err error
	l.mu.Lock()
	failed := l.failed
	l.mu.Unlock()
	if failed == nil {
		err = l.sign()
	}
	if l.active.file != nil {
		err = errors.Join(err, l.active.file.Close())
	}
	l.seq.FlushIndex()
	return errors.Join(err, l.lock.Release())
}

// Sign makes a checkpoint of the durable size, if that is new: first the
// last-signed state, synced; then the signature, kept with the log, synced.
func (l *Log) Sign() error {
	if err := l.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrPoisoned, err)
	}
	return l.sign()
}
