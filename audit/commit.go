package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"

	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// Position is where a record stands.
type Position struct {
	Log merkle.LogName
	Seq uint64
}

// Append commits one event. It returns nil only after that is durable. The event
// is encoded and hashed on the caller's goroutine. A lone caller's is written and
// synced at once, and whoever comes meanwhile shares the next sync. However long
// that takes, Append returns soon after ctx ended.
//
// Errors: a *FieldError for an event that does not fit the format, ErrPoisoned,
// ErrOverloaded and ErrClosed when nothing was written; ErrInDoubt when the
// write or sync failed, or when ctx ended before the answer was known.
func (l *Log) Append(ctx context.Context, e event.Event) (Position, error) {
	return l.AppendBatch(ctx, []event.Event{e})
}

// AppendBatch is Append of events that become consecutive records, all of them
// or, if it fails with something other than ErrInDoubt, none. It returns the
// position of the first.
func (l *Log) AppendBatch(ctx context.Context, events []event.Event) (Position, error) {
	g, err := l.newGroup(events)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Position{}, err
	}
	return l.commitOrJoin(ctx, g)
}

// AppendAsync is AppendBatch for a caller that does not wait: done is called once
// with what AppendBatch returns, on a goroutine of the log's, in the order of the
// records within a commit. When it returns an error nothing was written and done
// is not called; ErrOverloaded is how it pushes back.
func (l *Log) AppendAsync(events []event.Event, done func(first Position, err error)) error {
	g, err := l.newGroup(events)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusalLocked(g); err != nil {
		return err
	}
	if !l.busy {
		l.busy = true
		go func() {
			l.commit(g)
			done(l.result(g, 0))
		}()
		return nil
	}
	l.pending += len(g.buf)
	if next := l.next; next != nil {
		index := next.join(g)
		next.after = append(next.after, func() { done(l.result(next, index)) })
		return nil
	}
	l.next = g
	go func() { done(l.lead(context.Background(), g)) }()
	return nil
}

// AppendLines is AppendBatch of n lines as they are, each with its newline: of a
// followed file, which any program may have written. It keeps nothing of lines.
func (l *Log) AppendLines(ctx context.Context, lines []byte, n int) (Position, error) {
	// A copy: the commit may go on after ctx ended, when lines are the caller's again.
	g := &commitGroup{buf: bytes.Clone(lines), lines: segment.HashLines(lines, n), lead: make(chan struct{}), done: make(chan struct{})}
	return l.commitOrJoin(ctx, g)
}

func (l *Log) commitOrJoin(ctx context.Context, g *commitGroup) (Position, error) {
	l.mu.Lock()
	if err := l.refusalLocked(g); err != nil {
		l.mu.Unlock()
		return Position{}, err
	}
	if !l.busy {
		l.busy = true
		l.mu.Unlock()
		return l.commitFor(ctx, g)
	}
	l.pending += len(g.buf)
	if next := l.next; next != nil {
		index := next.join(g)
		l.mu.Unlock()
		return l.follow(ctx, next, index)
	}
	l.next = g
	l.mu.Unlock()
	return l.lead(ctx, g)
}

// lead waits for the commit before to end, and commits the group.
func (l *Log) lead(ctx context.Context, g *commitGroup) (Position, error) {
	select {
	case <-g.lead:
		return l.commitFor(ctx, g)
	case <-g.done: // failed with the commit before
	case <-ctx.Done():
		// The group is not only ours: somebody must lead it.
		go func() {
			select {
			case <-g.lead:
				l.commit(g)
			case <-g.done:
			}
		}()
		return Position{}, fmt.Errorf("%w: %w", ErrInDoubt, ctx.Err())
	}
	return l.result(g, 0)
}

// commitFor commits a group for its leader, who waits for it no longer than ctx
// lasts: the disk may not answer for long. The commit goes on without him, for the
// others of the group and for those who wait for it to end.
func (l *Log) commitFor(ctx context.Context, g *commitGroup) (Position, error) {
	if ctx.Done() == nil {
		l.commit(g)
		return l.result(g, 0)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.commit(g)
	}()
	select {
	case <-ended:
		return l.result(g, 0)
	case <-ctx.Done():
	}
	select {
	case <-g.done: // a rotation is under way, which nobody's records wait for
		return l.result(g, 0)
	default:
		return Position{}, fmt.Errorf("%w: %w", ErrInDoubt, ctx.Err())
	}
}

func (l *Log) follow(ctx context.Context, g *commitGroup, index int) (Position, error) {
	select {
	case <-g.done:
		return l.result(g, index)
	case <-ctx.Done():
		return Position{}, fmt.Errorf("%w: %w", ErrInDoubt, ctx.Err())
	}
}

func (l *Log) refusalLocked(g *commitGroup) error {
	n := len(g.buf)
	switch {
	case l.closed:
		return ErrClosed
	case l.failed != nil:
		l.incidentLocked().Refused += uint64(len(g.lines))
		return fmt.Errorf("%w: %w", ErrPoisoned, l.failed)
	case l.pending > 0 && l.pending+n > l.opts.MaxPending:
		return fmt.Errorf("%w: %d bytes wait already; try again", ErrOverloaded, l.pending)
	}
	return nil
}

func (l *Log) result(g *commitGroup, index int) (Position, error) {
	if g.err != nil {
		return Position{}, g.err
	}
	name, _ := l.Name()
	return Position{Log: name, Seq: g.first + uint64(index)}, nil
}

// commit writes and syncs a group, tells its members, and hands the lead to
// the group that formed meanwhile. The caller has set busy.
func (l *Log) commit(g *commitGroup) {
	g.first = l.seq.Size()
	made := l.treeWork(g)
	displaced, err := l.writeSynced(g.buf)
	if err != nil {
		g.err = fmt.Errorf("%w: %w", ErrInDoubt, err)
		l.mu.Lock() // whoever is told finds the log poisoned
		l.poisonLocked(err)
		l.incidentLocked().InDoubt += uint64(len(g.lines))
		l.mu.Unlock()
		g.finish()
		l.handOver(err)
		return
	}
	l.seq.Grow(made())
	l.recycle(g)
	g.finish()
	l.lookAtSpace()
	if displaced {
		l.opts.Logger.Warn("the log's path led elsewhere, as a foreign logrotate leaves it; no record was lost", slog.String("path", l.opts.Path))
		err = l.rotate("displaced")
	} else if l.due() {
		err = l.rotate("size or age")
	}
	l.handOver(err)
}

// treeWork makes what the tree needs of a group. That of many records is made
// while they are written: nothing on the disk depends on it.
func (l *Log) treeWork(g *commitGroup) func() []segment.BlockPart {
	offset := l.segment().Bytes
	if len(g.unhashed) == 0 {
		return func() []segment.BlockPart { return segment.BlockParts(g.first, offset, g.lines) }
	}
	made := make(chan []segment.BlockPart, 1)
	go func() {
		g.hash()
		made <- segment.BlockParts(g.first, offset, g.lines)
	}()
	return func() []segment.BlockPart { return <-made }
}

// handOver ends what kept the log busy. A group that formed meanwhile gets the
// lead, or the failure.
func (l *Log) handOver(err error) {
	l.mu.Lock()
	if err != nil && l.failed == nil {
		l.poisonLocked(err)
	}
	next := l.next
	l.next, l.pending = nil, 0
	if next != nil && err != nil {
		l.incidentLocked().Refused += uint64(len(next.lines))
	}
	l.busy = next != nil && err == nil
	l.mu.Unlock()
	switch {
	case next == nil:
	case err == nil:
		close(next.lead)
	default:
		next.err = fmt.Errorf("%w: %w", ErrPoisoned, err)
		next.finish()
	}
	if err != nil {
		l.wake() // recovery needs the log when it is not busy
	}
}

func (l *Log) writeSynced(buf []byte) (displaced bool, err error) {
	want := l.segment().Bytes + int64(len(buf))
	if _, err := l.active.file.Write(buf); err != nil {
		return false, fmt.Errorf("write %s: %w", l.opts.Path, err)
	}
	if err := l.active.file.Sync(); err != nil {
		return false, fmt.Errorf("sync %s: %w", l.opts.Path, err)
	}
	return l.checkActive(want)
}

func (l *Log) poisonLocked(err error) {
	l.failed, l.lastErr = err, err.Error()
	l.failures.Add(1)
	l.failedLocked(err)
	l.opts.Logger.Error("a write of the log failed: appends are refused until it has recovered", slog.Any("error", err))
	l.wake()
}

// drain waits for the commit under way and for those that wait for it. The log
// is closed to new ones.
func (l *Log) drain() {
	l.mu.Lock()
	for l.busy {
		g := l.next
		if g == nil {
			// A last commit without followers: become its follower.
			g = &commitGroup{lead: make(chan struct{}), done: make(chan struct{})}
			l.next = g
			l.mu.Unlock()
			select {
			case <-g.lead:
				l.mu.Lock()
				l.busy = false
				l.mu.Unlock()
			case <-g.done:
			}
			l.mu.Lock()
			continue
		}
		l.mu.Unlock()
		<-g.done
		l.mu.Lock()
	}
	l.mu.Unlock()
}
