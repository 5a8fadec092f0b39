package segment

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"

	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// chunkBytes is what one worker hashes at a time.
const chunkBytes = 256 << 10

// scan reads a run of lines on all cores, in order, within bounded memory: one
// goroutine finds the line ends, workers hash the lines of a chunk each, and the
// caller's goroutine gets the parts of blocks in order.
type scan struct {
	first  uint64 // seq of the first line
	offset int64  // its offset in the segment
	until  uint64 // the scan ends before this record

	cuts    []uint64 // sizes, ascending, at which a part ends besides the ends of blocks
	cutByte int64    // a part begins with the first line that begins here or later

	// From zeros on, and from the byte cutByte on, a zero in a line ends
	// the scan with errZeros.
	zeros  uint64
	decode bool // count the lines that do not decode
}

type chunk struct {
	buf    []byte
	lines  []byte // whole lines, in buf
	first  uint64
	offset int64

	err   error // why the scan ends after this chunk
	parts []BlockPart
	done  chan struct{}
}

// run calls fn with every part, and returns the offset where it ended: at
// until, or at the end of the file with a nil error; with ErrUnfinished,
// errLineTooLong and errZeros at the line at fault; or where fn failed.
func (s *scan) run(r io.Reader, fn func(BlockPart) error) (int64, error) {
	workers := runtime.GOMAXPROCS(0)
	free := make(chan []byte, 2*workers+1)
	for range cap(free) {
		free <- nil
	}
	jobs, order := make(chan *chunk, cap(free)), make(chan *chunk, cap(free))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(jobs)
		defer close(order)
		s.read(r, free, stop, func(c *chunk) {
			jobs <- c // the channels have room for every buffer
			order <- c
		})
	})
	for range workers {
		wg.Go(func() {
			for c := range jobs {
				s.hash(c)
				close(c.done)
			}
		})
	}
	end, err := s.collect(order, free, fn)
	close(stop)
	wg.Wait()
	return end, err
}

func (s *scan) collect(order <-chan *chunk, free chan<- []byte, fn func(BlockPart) error) (int64, error) {
	end := s.offset
	for c := range order {
		<-c.done
		for _, p := range c.parts {
			if err := fn(p); err != nil {
				return p.offset, err
			}
			end = p.offset + p.bytes
		}
		if c.err != nil {
			return end, c.err
		}
		free <- c.buf
	}
	return end, nil
}

// read cuts the file into chunks of whole lines.
func (s *scan) read(r io.Reader, free <-chan []byte, stop <-chan struct{}, emit func(*chunk)) {
	var rest []byte // the beginning of a line, from the chunk before
	seq, offset := s.first, s.offset
	for seq < s.until {
		var buf []byte
		select {
		case buf = <-free:
		case <-stop:
			return
		}
		if want := 1 + chunkBytes + len(rest); cap(buf) < want {
			buf = make([]byte, 0, want)
		}
		buf = append(append(buf[:0], 0), rest...) // a byte for lineInPlace
		n, err := io.ReadFull(r, buf[len(buf):len(buf)+chunkBytes])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		end := max(1, bytes.LastIndexByte(buf, '\n')+1)
		c := &chunk{buf: buf, lines: buf[1:end], first: seq, offset: offset, done: make(chan struct{})}
		rest = append(rest[:0], buf[end:]...)
		lines := uint64(bytes.Count(c.lines, []byte{'\n'}))
		if seq+lines > s.until {
			c.lines = firstLines(c.lines, int(s.until-seq))
			lines = s.until - seq
		}
		seq += lines
		offset += int64(len(c.lines))
		var last error
		switch {
		case seq == s.until:
		case errors.Is(err, io.EOF) && len(rest) > 0 && len(rest) <= merkle.MaxLine:
			last = ErrUnfinished
		case len(rest) > merkle.MaxLine:
			last = errLineTooLong
		case err != nil && !errors.Is(err, io.EOF):
			last = err
		}
		c.err = last // of which the worker may say more: it is the worker's from here on
		emit(c)
		if last != nil || err != nil {
			return
		}
	}
}

// firstLines is the beginning of lines that has n of them.
func firstLines(lines []byte, n int) []byte {
	end := 0
	for range n {
		end += bytes.IndexByte(lines[end:], '\n') + 1
	}
	return lines[:end]
}

// hash makes the parts of a chunk.
func (s *scan) hash(c *chunk) {
	cut, _ := slices.BinarySearch(s.cuts, c.first+1)
	p := BlockPart{first: c.first, offset: c.offset}
	emit := func() {
		if len(p.prints) > 0 {
			c.parts = append(c.parts, p)
		}
		p = BlockPart{first: p.end(), offset: p.offset + p.bytes, prints: make([]uint16, 0, merkle.BlockSize)}
	}
	limit := 1 + len(c.lines)
	for start := 1; start < limit; {
		n := bytes.IndexByte(c.buf[start:limit], '\n') + 1
		end := start + n
		line := c.buf[start:end]
		at := p.offset + p.bytes
		if n > merkle.MaxLine {
			c.err = errLineTooLong
			break
		}
		if p.end() >= s.zeros && at >= s.cutByte && hasZeros(line) {
			c.err = errZeros
			break
		}
		if at >= s.cutByte && p.offset < s.cutByte {
			emit()
		}
		if s.decode {
			if _, err := event.Decode(line[:n-1]); err != nil {
				p.unreadable++
			}
		}
		full := p.add(lineInPlace(c.buf, start, end))
		if cut < len(s.cuts) && p.end() == s.cuts[cut] {
			cut++
			full = true
		}
		if full {
			emit()
		}
		start = end
	}
	emit()
}
