package follow

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/event"
)

// Follower copies the lines that another program appends to a JSONL file into a
// log, each as it is and exactly once, whatever crashes. What may not be a record
// as it is becomes a follow_bytes or follow_gap record: nothing is left out
// without a word.
//
// The cursor on the disk is behind what was copied; where it ends is found by
// comparing the lines that follow it in the file with the records that follow it
// in the log. (A line that was also appended by other means, the same to the
// byte, in the very moment of a crash, would count as copied.)
type Follower struct {
	opts Options
	log  *audit.Log
	src  source

	// Owned by Run: all lines before the source's confirmed offset are in the log
	// before the record seq.
	started   bool
	certain   bool // that nothing beyond the confirmed offset is in the log
	confirmed int64
	seq       uint64
	saved     time.Time
	unsaved   bool

	mu     sync.Mutex
	status Status // guarded by mu
}

// Options says what is followed. FS, Now, Logger and Poll have defaults.
type Options struct {
	Path       string // of the other program's file
	CursorPath string // of the file that says how far it is copied
	FS         disk.FS
	Now        func() time.Time
	Logger     *slog.Logger
	Poll       time.Duration // how often it is looked for new lines
}

// Status says how following goes.
type Status struct {
	Path   string `json:"path"`
	File   string `json:"file"`   // that is read now: the path, or a rotated one
	Offset int64  `json:"offset"` // in File, up to which it is copied
	Lines  uint64 `json:"lines"`  // copied since the start
	Gaps   uint64 `json:"gaps"`   // recorded since the start
	Error  string `json:"error,omitempty"`
}

const (
	followPoll    = 100 * time.Millisecond
	followBackoff = time.Second
	cursorEvery   = time.Second
	followBatch   = 1 << 20
	maxCursor     = 64 << 10
	cursorVersion = 1
)

// New follows o.Path into log. It reads nothing before Run.
func New(log *audit.Log, o Options) *Follower {
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Poll == 0 {
		o.Poll = followPoll
	}
	src := source{fsys: o.FS, path: o.Path, now: o.Now}
	if log != nil {
		src.ours = log.Owns
	}
	return &Follower{opts: o, log: log, src: src, status: Status{Path: o.Path}}
}

func (f *Follower) ms() uint64 { return uint64(f.opts.Now().UnixMilli()) }

// Status is safe for concurrent use.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Run follows until ctx ends, and returns nil then. It may be called once.
func (f *Follower) Run(ctx context.Context) error {
	defer f.src.close()
	told := ""
	for {
		pause := f.opts.Poll
		err := f.step(ctx)
		if ctx.Err() != nil {
			f.save()
			return nil
		}
		text := ""
		if err != nil {
			f.certain, pause, text = false, followBackoff, err.Error()
		}
		if text != told && text != "" {
			f.opts.Logger.Warn("following waits", slog.String("path", f.opts.Path), slog.Any("error", err))
		}
		told = text
		f.mu.Lock()
		f.status.Error, f.status.File, f.status.Offset = text, f.src.name, f.confirmed
		f.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// step copies all lines that are there now.
func (f *Follower) step(ctx context.Context) error {
	for ctx.Err() == nil {
		more, err := f.advance(ctx)
		if errors.Is(err, errCut) {
			f.src.close() // to be found anew
			continue
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// advance copies a batch, or goes on to the next file. It says whether there may
// be more now.
func (f *Follower) advance(ctx context.Context) (more bool, err error) {
	if err := f.ready(ctx); err != nil || f.src.file == nil || !f.certain {
		return false, err
	}
	n, err := f.copyLines(ctx)
	if err != nil {
		return false, err
	}
	if n > 0 {
		if f.opts.Now().Sub(f.saved) >= cursorEvery {
			f.save()
		}
		return true, nil
	}
	// The cursor stays at the end of a file that is left until the next one has
	// lines: only so the next one is found after a restart.
	f.save()
	if more, err = f.src.look(); more {
		f.confirmed = 0
	}
	return more, err
}

// ready opens the file at the place of the cursor, and finds how many lines
// beyond it are in the log already.
func (f *Follower) ready(ctx context.Context) error {
	if f.src.file != nil && f.certain {
		return nil
	}
	if err := f.log.Err(); err != nil {
		return err
	}
	if f.src.file == nil || !f.started {
		if err := f.resume(ctx); err != nil || f.src.file == nil {
			return err
		}
	}
	f.src.seek(f.confirmed)
	return f.match()
}

// match goes through the records from seq on, and past the lines that it finds
// there in their order.
func (f *Follower) match() error {
	r := f.log.Reader(f.seq)
	defer r.Close()
	for end := f.log.Size(); r.Seq() < end; {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		l, ok, err := f.src.peek()
		for err == nil && !ok {
			var moved bool
			if moved, err = f.src.look(); err != nil || !moved {
				break
			}
			f.confirmed = 0
			l, ok, err = f.src.peek()
		}
		if err != nil {
			return err
		}
		if !ok {
			// At the end of a file that the writer may have left, records may be
			// of the next one, which is not known yet.
			f.certain = f.src.current()
			return nil
		}
		if f.recorded(l, rec.Line) {
			f.src.take(l)
			f.confirmed, f.seq, f.unsaved = f.src.offset, rec.Seq+1, true
		}
	}
	f.certain = true
	return nil
}

// copyLines appends the lines that are there, up to a batch, and says how many.
func (f *Follower) copyLines(ctx context.Context) (n int, err error) {
	var buf []byte
	var special event.Event
	for special == nil && len(buf) < followBatch {
		l, ok, err := f.src.peek()
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		if e := f.special(l); e != nil {
			if n > 0 {
				break // in the next batch, alone
			}
			special = e
			if buf, err = event.AppendLine(nil, e); err != nil {
				return 0, err
			}
		} else {
			buf = append(append(buf, l.text...), '\n')
		}
		n++
		f.src.take(l)
	}
	if n == 0 {
		return 0, nil
	}
	pos, err := f.log.AppendLines(ctx, buf, n)
	if err != nil {
		return 0, err
	}
	f.confirmed, f.seq, f.unsaved = f.src.offset, pos.Seq+uint64(n), true
	f.mu.Lock()
	f.status.Lines += uint64(n)
	if _, ok := special.(*event.FollowGap); ok {
		f.status.Gaps++
	}
	f.mu.Unlock()
	return n, nil
}
