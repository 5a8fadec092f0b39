package crdt

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The index finds exactly the removals that a look at every range finds.
func TestRangeIndexAgainstASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) RemovedRange {
			first := rapid.Uint64Range(0, 30).Draw(t, "first")
			return RemovedRange{first, first + rapid.Uint64Range(1, 12).Draw(t, "len"), Dot{Seq: rapid.Uint64Range(0, 3).Draw(t, "by")}}
		}), 0, 12).Draw(t, "ranges")
		x := newRangeIndex(list)
		for seq := range uint64(50) {
			want := make(map[Dot]bool)
			for _, r := range list {
				if r.First <= seq && seq < r.End {
					want[r.By] = true
				}
			}
			got := x.covering(seq)
			if len(got) != len(want) || slices.ContainsFunc(got, func(d Dot) bool { return !want[d] }) || x.has(seq) != (len(want) > 0) {
				t.Fatalf("%d is in %v: %v, want %v", seq, x.has(seq), got, slices.Collect(maps.Keys(want)))
			}
		}
	})
}
