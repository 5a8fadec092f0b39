package segment

import (
	"errors"
	"fmt"
	"io"
	"os"

	"auditmesh/audit/disk"
)

// Record is one line of a log.
type Record struct {
	Seq  uint64
	Line []byte // without its newline
}

// Ended is the line with its newline, where a Reader returned it.
func (r Record) Ended() []byte { return r.Line[:len(r.Line)+1] }

// Reader reads the records of a log in order, up to the durable size and never
// beyond. A Reader is used by one goroutine; it goes on over rotation and
// recovery of the log.
type Reader struct {
	log  *Sequence
	seq  uint64 // of the next record
	file disk.File
	seg  Segment
	sc   *lineScanner
}

// NewReader reads from the record at from on.
func NewReader(c *Sequence, from uint64) *Reader { return &Reader{log: c, seq: from} }

// Seq is the seq of the record that Next returns next.
func (r *Reader) Seq() uint64 { return r.seq }

// Next returns the next record; its line is valid until the next call. io.EOF
// means that there is no further durable record now: it may be called again
// when there is.
func (r *Reader) Next() (Record, error) {
	if r.seq >= r.log.Size() {
		return Record{}, io.EOF
	}
	line, err := r.line()
	if err != nil {
		// The segment ended, or was replaced by recovery: find the place anew.
		r.Close()
		if err := r.open(); err != nil {
			return Record{}, err
		}
		if line, err = r.line(); err != nil {
			return Record{}, fmt.Errorf("read record %d of %s at byte %d: %w", r.seq, r.seg.Path, r.sc.offset, err)
		}
	}
	rec := Record{Seq: r.seq, Line: line[:len(line)-1]}
	r.seq++
	return rec, nil
}

var errNoFile = errors.New("no segment is open")

func (r *Reader) line() ([]byte, error) {
	if r.sc == nil {
		return nil, errNoFile
	}
	// Beyond the segment's durable part there may be bytes that are not
	// durable, or that recovery cut. What the sequence says is read, no more.
	if next := r.log.segmentOf(r.seq); next.Path != r.seg.Path || next.gen != r.seg.gen {
		return nil, io.EOF
	}
	return r.sc.next()
}

func (r *Reader) open() error {
	s, offset, at, err := r.log.find(r.seq)
	if err != nil {
		return err
	}
	f, err := r.log.fsys.OpenFile(s.Path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	r.file, r.seg = f, s
	r.sc = newLineScanner(io.NewSectionReader(f, offset, 1<<62), offset)
	for ; at < r.seq; at++ {
		if _, err := r.sc.next(); err != nil {
			return fmt.Errorf("read record %d of %s at byte %d: %w", at, s.Path, r.sc.offset, err)
		}
	}
	return nil
}

// Place is the segment of the record that Next returned, and the offset of its
// line's end there.
func (r *Reader) Place() (Segment, int64) { return r.seg, r.sc.offset }

// Close frees the file. The reader may be used again.
func (r *Reader) Close() {
	if r.file != nil {
		r.file.Close()
	}
	r.file, r.sc = nil, nil
}

// Last is the last segment, the zero value while there is none.
func (c *Sequence) Last() Segment {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.segs) == 0 {
		return Segment{}
	}
	return c.segs[len(c.segs)-1]
}

func (c *Sequence) segmentOf(seq uint64) Segment {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.segs[c.segmentLocked(seq)]
}
