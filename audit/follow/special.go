package follow

import (
	"bytes"
	"fmt"

	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// maxWrapped is the longest line that fits into a record in base64.
const maxWrapped = merkle.MaxLine / 2

// special is the record that stands for a line, nil if that is a record itself.
func (f *Follower) special(l line) event.Event {
	at := uint64(f.src.offset)
	if l.long || len(l.text) > maxWrapped && bytes.IndexByte(l.text, 0) >= 0 {
		return &event.FollowGap{TSUnixMS: f.ms(), Path: f.opts.Path, Offset: at, Bytes: uint64(l.size), Reason: longReason(l)}
	}
	if bytes.IndexByte(l.text, 0) < 0 {
		e, err := event.Decode(l.text)
		if err != nil || !event.ByNode(e.Name()) {
			return nil
		}
		if len(l.text) > maxWrapped {
			return &event.FollowGap{TSUnixMS: f.ms(), Path: f.opts.Path, Offset: at, Bytes: uint64(l.size), Reason: longReason(l)}
		}
	}
	return &event.FollowBytes{TSUnixMS: f.ms(), Path: f.opts.Path, Offset: at, Line: bytes.Clone(l.text)}
}

func longReason(l line) string {
	if !l.long {
		l.hash = merkle.LeafHash(l.text)
		return fmt.Sprintf("a line that is not taken as it is, too long to be kept in base64; its leaf hash is %x", l.hash[:])
	}
	return fmt.Sprintf("a line longer than a record may be; its SHA-256 is %x", l.hash[:])
}

// recorded says whether a record is what stands for a line.
func (f *Follower) recorded(l line, record []byte) bool {
	if !l.long && bytes.Equal(l.text, record) {
		return true
	}
	if !bytes.HasPrefix(record, []byte(`{"event":"follow_`)) {
		return false
	}
	got, err := event.Decode(record)
	if err != nil {
		return false
	}
	switch want := f.special(l).(type) {
	case *event.FollowBytes:
		e, ok := got.(*event.FollowBytes)
		return ok && e.Offset == want.Offset && bytes.Equal(e.Line, want.Line)
	case *event.FollowGap:
		e, ok := got.(*event.FollowGap)
		return ok && e.Offset == want.Offset && e.Reason == want.Reason
	}
	return false
}
