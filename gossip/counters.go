package gossip

import (
	"reflect"
	"sync/atomic"
)

// Counters tell what the mesh did, and everything that it dropped or refused.
// Each is counted since the process began.
type Counters struct {
	Published        atomic.Uint64 `json:"published"`         // batches of the own log sent
	Received         atomic.Uint64 `json:"received"`          // verified batches from the topic
	Extended         atomic.Uint64 `json:"extended"`          // batches that brought something new
	Known            atomic.Uint64 `json:"known"`             // batches that did not
	Holes            atomic.Uint64 `json:"holes"`             // batches with records missing before them
	Conflicts        atomic.Uint64 `json:"conflicts"`         // batches that contradict what is held
	Invalid          atomic.Uint64 `json:"invalid"`           // batches whose shape, signature or root is wrong
	OtherTasklist    atomic.Uint64 `json:"other_tasklist"`    // batches and streams of another tasklist
	StrangersLogs    atomic.Uint64 `json:"strangers_logs"`    // batches of logs of no member
	StrangersRefused atomic.Uint64 `json:"strangers_refused"` // connections of no member
	StoreFailed      atomic.Uint64 `json:"store_failed"`      // batches that could not be stored here
	OwnLogAhead      atomic.Uint64 `json:"own_log_ahead"`     // peers that hold more of the own log than this node
	DropsOut         atomic.Uint64 `json:"drops_out"`         // messages dropped before a peer
	DropsIn          atomic.Uint64 `json:"drops_in"`          // messages dropped before they were stored
	Syncs            atomic.Uint64 `json:"syncs"`             // catch-ups that ended well
	SyncsFailed      atomic.Uint64 `json:"syncs_failed"`      // catch-ups that did not
	SyncsRefused     atomic.Uint64 `json:"syncs_refused"`     // catch-ups of peers beyond the limit
	SyncBatchesIn    atomic.Uint64 `json:"sync_batches_in"`
	SyncBatchesOut   atomic.Uint64 `json:"sync_batches_out"`
}

// Snapshot is the counters by name.
func (c *Counters) Snapshot() map[string]uint64 {
	v := reflect.ValueOf(c).Elem()
	out := make(map[string]uint64, v.NumField())
	for i := range v.NumField() {
		out[v.Type().Field(i).Tag.Get("json")] = v.Field(i).Addr().Interface().(*atomic.Uint64).Load()
	}
	return out
}
