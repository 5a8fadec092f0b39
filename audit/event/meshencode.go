package event

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"unicode/utf8"

	"auditmesh/audit/merkle"
)

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

func (e *LogWriteFailed) check() error { return checkText("error", e.Error) }

func (*DiskSpaceLow) check() error { return nil }

func (e *LogWriteFailed) appendFields(dst []byte) []byte {
	dst = appendUint(dst, "since_unix_ms", e.Since)
	dst = appendUint(dst, "failures", e.Failures)
	dst = appendUint(dst, "in_doubt", e.InDoubt)
	dst = appendUint(dst, "refused", e.Refused)
	return appendField(dst, "error", e.Error)
}

func (e *DiskSpaceLow) appendFields(dst []byte) []byte {
	return appendUint(appendUint(dst, "free_bytes", e.Free), "floor_bytes", e.Floor)
}

func (e *TaskRemoved) check() error {
	if (e.RequestID == nil) == (len(e.Ranges) == 0) {
		return &FieldError{"request_id", "a removal names a request_id or ranges, and not both"}
	}
	for _, r := range e.Ranges {
		if r.First >= r.End {
			return &FieldError{"ranges", fmt.Sprintf("[%d, %d) is empty", r.First, r.End)}
		}
	}
	return checkText("reason", e.Reason)
}

func (e *Reviewed) check() error { return checkReview(e.Node, e.By) }

func (e *TaskReleased) check() error { return checkReview(e.Node, e.By) }

func (e *TaskNoted) check() error {
	if !registerFields[e.Field] {
		return &FieldError{"field", fmt.Sprintf("%q is not note, priority or assignee", e.Field)}
	}
	if err := checkText("value", e.Value); err != nil {
		return err
	}
	return checkReview(e.Node, e.By)
}

func (e *LogSucceeded) check() error { return checkText("reason", e.Reason) }

func checkReview(node, by string) error {
	if _, err := merkle.PeerKey(node); err != nil {
		return &FieldError{"node", err.Error()}
	}
	return checkText("by", by)
}

func checkText(field, s string) error {
	if !utf8.ValidString(s) {
		return &FieldError{field, "is not valid UTF-8"}
	}
	return nil
}

func (e *TaskRemoved) appendFields(dst []byte) []byte {
	if e.RequestID != nil {
		dst = appendHex(dst, "request_id", e.RequestID[:])
	} else {
		dst = append(dst, `,"request_id":null`...)
	}
	dst = append(dst, `,"ranges":[`...)
	for i, r := range e.Ranges {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"log":"`...)
		dst = append(dst, r.Log.String()...)
		dst = append(dst, `","first":`...)
		dst = strconv.AppendUint(dst, r.First, 10)
		dst = append(dst, `,"end":`...)
		dst = strconv.AppendUint(dst, r.End, 10)
		dst = append(dst, '}')
	}
	return appendField(append(dst, ']'), "reason", e.Reason)
}

func (e *Reviewed) appendFields(dst []byte) []byte {
	return appendReview(dst, e.Node, e.RequestID, e.By)
}

func (e *TaskReleased) appendFields(dst []byte) []byte {
	return appendDots(appendReview(dst, e.Node, e.RequestID, e.By), e.Replaces)
}

func (e *TaskNoted) appendFields(dst []byte) []byte {
	dst = appendReview(dst, e.Node, e.RequestID, e.By)
	dst = appendField(dst, "field", e.Field)
	dst = appendField(dst, "value", e.Value)
	return appendDots(dst, e.Replaces)
}

func (e *LogSucceeded) appendFields(dst []byte) []byte {
	dst = appendHex(dst, "log", e.Log[:])
	dst = appendUint(dst, "size", e.Size)
	dst = appendHex(dst, "root", e.Root[:])
	return appendField(dst, "reason", e.Reason)
}

func appendReview(dst []byte, node string, id RequestID, by string) []byte {
	dst = appendField(dst, "node", node)
	dst = appendHex(dst, "request_id", id[:])
	return appendField(dst, "by", by)
}

func appendDots(dst []byte, dots []Dot) []byte {
	dst = append(dst, `,"replaces":[`...)
	for i, d := range dots {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"node":`...)
		dst = appendString(dst, d.Node)
		dst = append(dst, `,"log":"`...)
		dst = append(dst, d.Log.String()...)
		dst = append(dst, `","seq":`...)
		dst = strconv.AppendUint(dst, d.Seq, 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
