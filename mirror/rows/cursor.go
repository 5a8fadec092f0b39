package rows

import (
	"encoding/json"

	"auditmesh/crdt"
)

// Cursor says which records of a log are folded, [First, Size), and what was
// found in them. All times are in milliseconds since 1970.
type Cursor struct {
	First      uint64 `json:"first,omitzero"`
	Size       uint64 `json:"size"`
	Unreadable uint64 `json:"unreadable"`
	Unknown    uint64 `json:"unknown"` // of events that this version does not know
	// An unreadable record stands in the order of time where the one before it does:
	// at TimeBefore ahead of the first that is readable, at LastTime behind the last.
	TimeBefore uint64 `json:"first_time,omitzero"`
	LastTime   uint64 `json:"last_time"`
	// StartTime is the time of the first readable record, Greatest the greatest time
	// so far, and GreatestBefore the greatest before First.
	StartTime      uint64 `json:"begin"`
	Greatest       uint64 `json:"most"`
	GreatestBefore uint64 `json:"first_most,omitzero"`
}

// Cursor is that of a log, false if none of it is folded.
func (t *Tx) Cursor(log crdt.Log) (c Cursor, ok bool, err error) {
	n, ok := t.store.findLog(log)
	if !ok {
		return c, false, nil
	}
	return t.CursorOf(n)
}

// CursorOf is Cursor by the log's number.
func (t *Tx) CursorOf(n LogNumber) (c Cursor, ok bool, err error) {
	ok, err = t.get(keyOf(kindCursor, n), func(v []byte) error { return json.Unmarshal(v, &c) })
	return c, ok, err
}

// PutCursor puts the cursor of the step's log.
func (s *Step) PutCursor(c Cursor) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.txn.Set(keyOf(kindCursor, s.number), raw)
}
