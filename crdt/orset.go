package crdt

import "slices"

// ORSet is an observed-remove set whose elements are the values of operations:
// a dot is an element while no removal covers it. A removal may come before
// what it removes. The zero value is empty.
type ORSet[V any] struct {
	adds    map[Dot]V
	removed map[Dot]struct{}
}

// Add takes in the element of a dot. A dot has one element for ever, so adding
// it again changes nothing.
func (s *ORSet[V]) Add(d Dot, v V) {
	if s.adds == nil {
		s.adds = make(map[Dot]V)
	}
	if _, ok := s.adds[d]; !ok {
		s.adds[d] = v
	}
}

// Remove takes out exactly these dots, now and whenever they arrive.
func (s *ORSet[V]) Remove(dots ...Dot) {
	if s.removed == nil {
		s.removed = make(map[Dot]struct{})
	}
	for _, d := range dots {
		s.removed[d] = struct{}{}
	}
}

// element is a dot with its value.
type element[V any] struct {
	Dot   Dot
	Value V
}

// all are the elements that were added, removed ones too, in the order of their dots.
func (s *ORSet[V]) all(o Order) []element[V] {
	list := make([]element[V], 0, len(s.adds))
	for d, v := range s.adds {
		list = append(list, element[V]{d, v})
	}
	slices.SortFunc(list, func(a, b element[V]) int { return CompareDots(o, a.Dot, b.Dot) })
	return list
}

// live are the elements that nothing removed, in the order of their dots.
func (s *ORSet[V]) live(o Order) []element[V] {
	return slices.DeleteFunc(s.all(o), func(e element[V]) bool {
		_, gone := s.removed[e.Dot]
		return gone
	})
}

func dotsOf[V any](list []element[V]) []Dot {
	dots := make([]Dot, len(list))
	for i, e := range list {
		dots[i] = e.Dot
	}
	return dots
}
