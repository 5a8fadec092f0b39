package audit

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

// FollowBytes is a line of a followed file that is not taken as it is: one with a
// NUL byte, which recovery takes for the mark of a power cut, or one that would
// speak for this node, as only the node itself may.
type FollowBytes struct {
	TSUnixMS uint64
	Path     string
	Offset   uint64
	Line     []byte // base64 in the record
}

// FollowGap says that lines of a followed file are not in the log.
type FollowGap struct {
	TSUnixMS uint64
	Path     string
	Offset   uint64 // from where on
	Bytes    uint64 // 0: nobody knows how many
	Reason   string
}

// Name is the line's "event".
func (*FollowBytes) Name() string { return "follow_bytes" }

// Name is the line's "event".
func (*FollowGap) Name() string { return "follow_gap" }

// Time is the line's "ts_unix_ms".
func (e *FollowBytes) Time() uint64 { return e.TSUnixMS }

// Time is the line's "ts_unix_ms".
func (e *FollowGap) Time() uint64 { return e.TSUnixMS }

func (e *FollowBytes) check() error { return checkText("path", e.Path) }

func (e *FollowGap) check() error {
	if err := checkText("path", e.Path); err != nil {
		return err
	}
	return checkText("reason", e.Reason)
}

func (e *FollowBytes) appendFields(dst []byte) []byte {
	dst = appendField(dst, "path", e.Path)
	dst = appendUint(dst, "offset", e.Offset)
	return appendField(dst, "line", base64.StdEncoding.EncodeToString(e.Line))
}

func (e *FollowGap) appendFields(dst []byte) []byte {
	dst = appendField(dst, "path", e.Path)
	dst = appendUint(dst, "offset", e.Offset)
	dst = appendUint(dst, "bytes", e.Bytes)
	return appendField(dst, "reason", e.Reason)
}

// maxWrapped is the longest line that fits into a record in base64.
const maxWrapped = MaxLine / 2

// special is the record that stands for a line, nil if that is a record itself.
func (f *Follower) special(l line) Event {
	at := uint64(f.src.offset)
	if l.long || len(l.text) > maxWrapped && bytes.IndexByte(l.text, 0) >= 0 {
		return &FollowGap{f.ms(), f.opts.Path, at, uint64(l.size), longReason(l)}
	}
	if bytes.IndexByte(l.text, 0) < 0 {
		e, err := Decode(l.text)
		if err != nil || !ByNode(e.Name()) {
			return nil
		}
		if len(l.text) > maxWrapped {
			return &FollowGap{f.ms(), f.opts.Path, at, uint64(l.size), longReason(l)}
		}
	}
	return &FollowBytes{f.ms(), f.opts.Path, at, bytes.Clone(l.text)}
}

func longReason(l line) string {
	if !l.long {
		l.hash = LeafHash(l.text)
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
	got, err := Decode(record)
	if err != nil {
		return false
	}
	switch want := f.special(l).(type) {
	case *FollowBytes:
		e, ok := got.(*FollowBytes)
		return ok && e.Offset == want.Offset && bytes.Equal(e.Line, want.Line)
	case *FollowGap:
		e, ok := got.(*FollowGap)
		return ok && e.Offset == want.Offset && e.Reason == want.Reason
	}
	return false
}
