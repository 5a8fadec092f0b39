package crdt

import "maps"

// Span is the half-open range [First, Size) of a log's records that a replica
// holds without a hole.
type Span struct {
	First uint64
	Size  uint64
}

// Vector is a version vector: for each log what is held of it. A nil Vector
// holds nothing and can be read.
type Vector map[Log]Span

// Has says whether a record is held.
func (v Vector) Has(d Dot) bool {
	s, ok := v[d.Log]
	return ok && s.First <= d.Seq && d.Seq < s.Size
}

// Advance takes in the records [from, to) of a log. It returns false, and
// changes nothing, if that would leave a hole.
func (v Vector) Advance(l Log, from, to uint64) bool {
	s, ok := v[l]
	switch {
	case to <= from:
		return true
	case !ok:
		v[l] = Span{from, to}
		return true
	case from > s.Size || to < s.First:
		return false
	}
	v[l] = Span{min(s.First, from), max(s.Size, to)}
	return true
}

// Merge takes in all that w holds. Where two spans of a log do not touch, the
// one that reaches further is kept, since a span has no hole.
func (v Vector) Merge(w Vector) {
	for l, s := range w {
		if !v.Advance(l, s.First, s.Size) && s.Size > v[l].Size {
			v[l] = s
		}
	}
}

// Equal says whether both hold the same.
func (v Vector) Equal(w Vector) bool { return maps.Equal(v, w) }
