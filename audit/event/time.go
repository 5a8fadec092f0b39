package event

import "bytes"

// Every line of this format begins with its event and its time.
const (
	eventStart = `{"event":"`
	timeStart  = `","ts_unix_ms":`
)

// LineTime is the time that a line states, 0 if none. Lines that begin as every
// writer of this format begins them cost next to nothing, others are decoded. It
// serves the index alone, which says where a time may be found.
func LineTime(line []byte) uint64 {
	if hasPrefix(line, eventStart) {
		rest := line[len(eventStart):]
		name := bytes.IndexByte(rest, '"')
		if name >= 0 && hasPrefix(rest[name:], timeStart) {
			var t uint64
			digits := rest[name+len(timeStart):]
			for i := 0; i < len(digits) && i < 19; i++ {
				d := digits[i] - '0'
				if d > 9 {
					return t
				}
				t = t*10 + uint64(d)
			}
		}
	}
	e, err := Decode(bytes.TrimSuffix(line, []byte{'\n'}))
	if err != nil {
		return 0
	}
	return e.Time()
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}
