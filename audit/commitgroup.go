package audit

import (
	"errors"
	"fmt"

	"auditmesh/audit/event"
	"auditmesh/audit/segment"
)

// lineRun is a run of a group's lines, and where they begin in its buffer.
type lineRun struct{ from, to, offset int }

// commitGroup is what one write and one fdatasync commit. Its first member leads it:
// it waits on lead for the commit before to end and then commits on its own
// goroutine; the others wait on done.
type commitGroup struct {
	buf   []byte
	lines []segment.Line
	// unhashed are runs of lines whose hashes are made while they are written.
	unhashed []lineRun
	memory   *groupMemory // to be recycled, nil if small
	after    []func()     // what to call for members that do not wait

	lead chan struct{}
	done chan struct{}
	// Set before done is closed.
	first uint64
	err   error
}

func (l *Log) newGroup(events []event.Event) (*commitGroup, error) {
	if len(events) == 0 {
		return nil, errors.New("append: no event was given")
	}
	g := &commitGroup{lead: make(chan struct{}), done: make(chan struct{})}
	if len(events) >= manyRecords {
		g.memory = l.largeGroups.Get().(*groupMemory)
		g.buf, g.lines = g.memory.buf[:0], g.memory.lines[:0]
	} else {
		g.buf = make([]byte, 0, typicalLine*len(events))
		g.lines = make([]segment.Line, 0, len(events))
	}
	for _, e := range events {
		if err := l.Check(e); err != nil {
			return nil, err
		}
	}
	if err := g.encode(events); err != nil {
		return nil, err
	}
	if len(events) < manyRecords {
		g.hash()
	}
	return g, nil
}

const (
	// manyRecords is from where on work is worth being shared among cores.
	manyRecords = 256
	// typicalLine is what is set aside for a line before it is encoded.
	typicalLine = 320
)

// Check says why this log, as it is configured, does not take an event that fits
// the format (a *FieldError), or returns nil.
func (l *Log) Check(e event.Event) error {
	var argv []string
	switch e := e.(type) {
	case *event.Request:
		argv = e.Argv
	case *event.Denial:
		argv = e.Argv
	}
	total := 0
	for _, arg := range argv {
		total += len(arg)
	}
	if limit := l.opts.MaxArgvBytes; limit > 0 && total > limit {
		return &event.FieldError{Field: "argv", Reason: fmt.Sprintf("has %d bytes, the limit of this log is %d (max_argv_bytes)", total, limit)}
	}
	return nil
}

func (g *commitGroup) encode(events []event.Event) error {
	for _, e := range events {
		start := len(g.buf)
		var err error
		if g.buf, err = event.AppendLine(g.buf, e); err != nil {
			return err
		}
		g.lines = append(g.lines, segment.Line{Length: len(g.buf) - start, Time: e.Time()})
	}
	g.unhashed = []lineRun{{0, len(events), 0}}
	return nil
}

// groupMemory is the memory of a large group, used again: to get as much anew
// from the kernel for each would cost more than to encode.
type groupMemory struct {
	buf   []byte
	lines []segment.Line
}

// recycle gives back the memory of a group whose commit has ended.
func (l *Log) recycle(g *commitGroup) {
	if m := g.memory; m != nil && cap(g.buf) <= maxRecycled {
		m.buf, m.lines = g.buf, g.lines
		l.largeGroups.Put(m)
	}
	g.memory, g.buf, g.lines = nil, nil, nil
}

const maxRecycled = 4 << 20

// hash makes the hashes that are missing.
func (g *commitGroup) hash() {
	var lh segment.LineHasher
	for _, s := range g.unhashed {
		at := s.offset
		for i := s.from; i < s.to; i++ {
			l := &g.lines[i]
			*l = lh.Timed(g.buf[at:at+l.Length], l.Time)
			at += l.Length
		}
	}
	g.unhashed = nil
}

// join adds another caller's records and returns the index of its first.
func (g *commitGroup) join(o *commitGroup) int {
	index := len(g.lines)
	for _, s := range o.unhashed {
		g.unhashed = append(g.unhashed, lineRun{index + s.from, index + s.to, len(g.buf) + s.offset})
	}
	g.buf = append(g.buf, o.buf...)
	g.lines = append(g.lines, o.lines...)
	return index
}

// finish tells the members of a group what became of it.
func (g *commitGroup) finish() {
	close(g.done)
	if len(g.after) > 0 {
		go func() {
			for _, call := range g.after {
				call()
			}
		}()
	}
}
