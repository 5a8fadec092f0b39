package mirror

import (
	"errors"
	"slices"

	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// maxLookUps is how many tasks a page may be chosen from that are looked up one by
// one. More are met faster in the order of time.
const maxLookUps = 1000

// lookUp finds the tasks of a query for request ids, since the rows of tags are in
// the order of those. It returns false where there are too many, or where the query
// does not ask for any.
func (s *snapshot) lookUp(q TaskQuery) (refs map[rows.TaskRef]bool, ok bool, err error) {
	if len(q.Requests) == 0 {
		return nil, false, nil
	}
	refs, err = s.withPrefixes(q.Requests)
	if errors.Is(err, rows.ErrTooMany) || errors.Is(err, ErrPrefix) {
		return nil, false, nil
	}
	return refs, err == nil, err
}

func (s *snapshot) withPrefixes(prefixes []string) (map[rows.TaskRef]bool, error) {
	refs := make(map[rows.TaskRef]bool)
	for _, prefix := range prefixes {
		if err := checkPrefix(prefix); err != nil {
			return nil, err
		}
		for _, node := range s.tx.Store().Nodes() {
			list, err := s.tx.TasksOf(node.Number, prefix, maxLookUps+1)
			if err != nil {
				return nil, err
			}
			for _, r := range list {
				refs[r] = true
			}
			if len(refs) > maxLookUps {
				return nil, rows.ErrTooMany
			}
		}
	}
	return refs, nil
}

// listScan goes through tasks that are all known.
type listScan struct {
	list []listedTask
	cur  listedTask
	err  error
}

func newListScan(s *snapshot, q TaskQuery, after *crdt.Place, refs map[rows.TaskRef]bool) *listScan {
	l := &listScan{}
	for r := range refs {
		x, err := s.listed(r)
		if err != nil {
			l.err = err
			return l
		}
		if x != nil && q.Match(x.item) && (after == nil || s.isAfter(q, x.place, *after)) {
			l.list = append(l.list, *x)
		}
	}
	slices.SortFunc(l.list, func(a, b listedTask) int {
		if q.Oldest {
			return s.list.ComparePlaces(a.place, b.place)
		}
		return s.list.ComparePlaces(b.place, a.place)
	})
	return l
}

func (l *listScan) next() bool {
	if len(l.list) == 0 || l.err != nil {
		return false
	}
	l.cur, l.list = l.list[0], l.list[1:]
	return true
}

func (l *listScan) at() listedTask                { return l.cur }
func (l *listScan) from() uint64                  { return 0 }
func (l *listScan) stopped() (*pageCursor, error) { return nil, l.err }
func (l *listScan) close()                        {}
