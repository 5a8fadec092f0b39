package api

import (
	"bufio"
	"errors"

	"auditmesh/audit/merkle"
)

// ErrLong ends the reading of events.
var ErrLong = errors.New("an event is longer than a line may be; nothing after it was read")

// groupRecords and groupBytes bound what is appended as one batch.
const (
	groupRecords = 1000
	groupBytes   = 1 << 20
)

// ReadGroup reads at least one event, a line each, and those that have arrived
// after it, up to what is appended as one batch. Empty lines are left out. With an
// error, io.EOF at the end, what was read before it is returned too.
func ReadGroup(in *bufio.Reader) (group [][]byte, err error) {
	for bytes := 0; len(group) < groupRecords && bytes < groupBytes; {
		var line []byte
		for {
			part, err := in.ReadSlice('\n')
			line = append(line, part...)
			if len(line) > merkle.MaxLine {
				return group, ErrLong
			}
			if err == nil {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				if len(trimmed(line)) > 0 { // the last line needs no newline
					group = append(group, trimmed(line))
				}
				return group, err
			}
		}
		if line = trimmed(line); len(line) > 0 {
			group = append(group, line)
			bytes += len(line)
		}
		if len(group) > 0 && in.Buffered() == 0 {
			return group, nil
		}
	}
	return group, nil
}

func trimmed(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
		line = line[:len(line)-1]
	}
	return line
}
