package segment

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"auditmesh/audit/merkle"
)

// errLineTooLong is returned for a line over MaxLine, which is not a record.
var errLineTooLong = fmt.Errorf("a line is longer than %d bytes", merkle.MaxLine)

// ErrUnfinished is returned for bytes at the end that no newline ends.
var ErrUnfinished = errors.New("the last line has no newline")

// errZeros is returned for a line that shows the mark of a power cut.
var errZeros = errors.New("a run of zeros, as a power cut leaves it")

// lineScanner reads newline-ended lines one by one, in memory of one line.
type lineScanner struct {
	r      *bufio.Reader
	long   []byte // a line over the reader's buffer
	offset int64  // of the next line
}

func newLineScanner(r io.Reader, offset int64) *lineScanner {
	return &lineScanner{r: bufio.NewReaderSize(r, 128<<10), offset: offset}
}

// next returns the next line with its newline; it is valid until the next call.
// io.EOF is the clean end. On ErrUnfinished and errLineTooLong the bytes read so
// far come too, and offset stays at the line's beginning.
func (s *lineScanner) next() ([]byte, error) {
	s.long = s.long[:0]
	for {
		part, err := s.r.ReadSlice('\n')
		switch {
		case err == nil && len(s.long) == 0:
			if len(part) > merkle.MaxLine {
				return part, errLineTooLong
			}
			s.offset += int64(len(part))
			return part, nil
		case err == nil || errors.Is(err, bufio.ErrBufferFull) || errors.Is(err, io.EOF):
			s.long = append(s.long, part...)
			if len(s.long) > merkle.MaxLine {
				return s.long, errLineTooLong
			}
			if err == nil {
				s.offset += int64(len(s.long))
				return s.long, nil
			}
			if errors.Is(err, io.EOF) {
				if len(s.long) == 0 {
					return nil, io.EOF
				}
				return s.long, ErrUnfinished
			}
		default:
			return nil, err
		}
	}
}

// hasZeros says whether a line beyond the signed size shows the mark of a power
// cut: a block that was allocated and never written. JSON never holds a raw NUL.
func hasZeros(line []byte) bool { return bytes.IndexByte(line, 0) >= 0 }
