package merkle

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
)

// LogState says what is held of one log.
type LogState struct {
	Name  LogName
	First uint64 // seq of the first record held
	Size  uint64
	Root  Hash // of the first Size records
}

// SortStates puts states in the order that the digests have.
func SortStates(states []LogState) {
	slices.SortFunc(states, func(a, b LogState) int { return a.Name.Compare(b.Name) })
}

// Digests are the two hashes by which nodes compare what they hold. digest is
// of (node, log, size, root) of all logs, holdings also of what is held of
// them. docs/formats.md, "Digests". Logs without records do not count.
func Digests(states []LogState) (digest, holdings Hash) {
	states = slices.Clone(states)
	SortStates(states)
	var d, h bytes.Buffer
	d.WriteString("auditmesh digest v1\n")
	h.WriteString("auditmesh holdings v1\n")
	for _, s := range states {
		if s.Size == 0 {
			continue
		}
		fmt.Fprintf(&d, "%s %s %d %s\n", s.Name.Peer, s.Name.IDString(), s.Size, s.Root)
		fmt.Fprintf(&h, "%s %s %d %d %s\n", s.Name.Peer, s.Name.IDString(), s.First, s.Size, s.Root)
	}
	return sha256.Sum256(d.Bytes()), sha256.Sum256(h.Bytes())
}
