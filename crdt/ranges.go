package crdt

import (
	"cmp"
	"slices"
)

// Range is the half-open range [First, End) of one log's records.
type Range struct {
	Log   Log
	First uint64
	End   uint64
}

// rangeIndex finds the removed ranges of one log that have a record in them.
// Ranges may overlap, since several removals may name the same records.
type rangeIndex struct {
	ranges []RemovedRange // by First
	// reach is, for each range, the greatest End of it and of all before it: no range
	// up to there has a record at or behind its reach.
	reach []uint64
}

func newRangeIndex(list []RemovedRange) rangeIndex {
	x := rangeIndex{ranges: slices.Clone(list), reach: make([]uint64, len(list))}
	slices.SortFunc(x.ranges, func(a, b RemovedRange) int { return cmp.Compare(a.First, b.First) })
	reach := uint64(0)
	for i, r := range x.ranges {
		reach = max(reach, r.End)
		x.reach[i] = reach
	}
	return x
}

// lastBefore is the last range that begins at or before a record, -1 if none does.
func (x rangeIndex) lastBefore(seq uint64) int {
	i, _ := slices.BinarySearchFunc(x.ranges, seq, func(r RemovedRange, seq uint64) int {
		if r.First <= seq {
			return -1
		}
		return 1
	})
	return i - 1
}

// has says whether any range has a record in it.
func (x rangeIndex) has(seq uint64) bool {
	i := x.lastBefore(seq)
	return i >= 0 && x.reach[i] > seq
}

// covering are the removals whose ranges have a record in them, each once.
func (x rangeIndex) covering(seq uint64) (by []Dot) {
	seen := make(map[Dot]bool)
	for i := x.lastBefore(seq); i >= 0 && x.reach[i] > seq; i-- {
		if r := x.ranges[i]; r.End > seq && !seen[r.By] {
			seen[r.By] = true
			by = append(by, r.By)
		}
	}
	return by
}
