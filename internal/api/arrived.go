package api

import (
	"bufio"
	"errors"

	"auditmesh/audit/merkle"
)

// ErrLong ends the reading of events.
var ErrLong = errors.New("an event is longer than a line may be; nothing after it was read")

// batchRecords and batchBytes bound what is appended as one batch.
const (
	batchRecords = 1000
	batchBytes   = 1 << 20
)

// ReadArrived reads at least one event, a line each, and those that have arrived
// after it, up to what is appended as one batch. Empty lines are left out. With an
// error, io.EOF at the end, what was read before it is returned too.
func ReadArrived(in *bufio.Reader) (events [][]byte, err error) {
	for bytes := 0; len(events) < batchRecords && bytes < batchBytes; {
		var line []byte
		for {
			part, err := in.ReadSlice('\n')
			line = append(line, part...)
			if len(line) > merkle.MaxLine {
				return events, ErrLong
			}
			if err == nil {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				if len(trimmed(line)) > 0 { // the last line needs no newline
					events = append(events, trimmed(line))
				}
				return events, err
			}
		}
		if line = trimmed(line); len(line) > 0 {
			events = append(events, line)
			bytes += len(line)
		}
		if len(events) > 0 && in.Buffered() == 0 {
			return events, nil
		}
	}
	return events, nil
}

func trimmed(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
		line = line[:len(line)-1]
	}
	return line
}
