package crdt

import "slices"

// Range is the half-open range [First, End) of one log's records.
type Range struct {
	Log   Log
	First uint64
	End   uint64
}

// Ranges is a set of dots, kept as disjoint ranges: as many as there are holes
// between them, however many dots they hold. The zero value is empty.
type Ranges struct {
	logs map[Log][]span // sorted, disjoint, not touching
}

type span struct{ first, end uint64 }

// Add takes in a range.
func (r *Ranges) Add(x Range) {
	if x.First >= x.End {
		return
	}
	if r.logs == nil {
		r.logs = make(map[Log][]span)
	}
	list := r.logs[x.Log]
	// Those that touch [First, End) become one.
	lo, _ := slices.BinarySearchFunc(list, x.First, func(s span, first uint64) int {
		if s.end < first {
			return -1
		}
		return 1
	})
	hi, merged := lo, span{x.First, x.End}
	for hi < len(list) && list[hi].first <= x.End {
		merged = span{min(merged.first, list[hi].first), max(merged.end, list[hi].end)}
		hi++
	}
	r.logs[x.Log] = slices.Replace(list, lo, hi, merged)
}

// Has says whether a dot is in the set.
func (r *Ranges) Has(d Dot) bool {
	list := r.logs[d.Log]
	i, _ := slices.BinarySearchFunc(list, d.Seq, func(s span, seq uint64) int {
		if s.end <= seq {
			return -1
		}
		return 1
	})
	return i < len(list) && list[i].first <= d.Seq
}

// Len is how many ranges the set is kept as.
func (r *Ranges) Len() int {
	n := 0
	for _, list := range r.logs {
		n += len(list)
	}
	return n
}
