package mirror

import (
	"errors"
	"slices"
)

// maxDirect is how many tasks a page may be chosen from that are looked up one by
// one. More are met faster in the order of time.
const maxDirect = 1000

// direct are the tasks of a query for request ids, which the rows of tags are in
// the order of. It returns false where there are too many.
func (e *env) direct(q TaskQuery) (refs map[taskRef]string, ok bool, err error) {
	if len(q.Requests) == 0 {
		return nil, false, nil
	}
	refs, err = e.withPrefixes(q.Requests)
	if errors.Is(err, errTooMany) || errors.Is(err, ErrPrefix) {
		return nil, false, nil
	}
	return refs, err == nil, err
}

func (e *env) withPrefixes(prefixes []string) (map[taskRef]string, error) {
	refs := make(map[taskRef]string)
	for _, prefix := range prefixes {
		if err := checkPrefix(prefix); err != nil {
			return nil, err
		}
		for _, node := range e.s.allNodes() {
			list, err := e.tasksOf(node.num, prefix, maxDirect+1)
			if err != nil {
				return nil, err
			}
			for _, r := range list {
				refs[r] = node.id
			}
			if len(refs) > maxDirect {
				return nil, errTooMany
			}
		}
	}
	return refs, nil
}

// listed reads a task and where it stands, nil if it has no tag.
func (e *env) listed(r taskRef) (*listed, error) {
	t, err := e.task(r, e.s.nodeByNumber(r.node))
	if err != nil || !t.Exists() {
		return nil, err
	}
	item, dot := t.Placed(e)
	return &listed{place{Time: item.Time, Dot: dot}, item}, e.fail
}

// listScan goes through tasks that are all known.
type listScan struct {
	list []listed
	cur  listed
	err  error
}

func newListScan(e *env, q TaskQuery, after *place, refs map[taskRef]string) *listScan {
	s := &listScan{}
	for r := range refs {
		x, err := e.listed(r)
		if err != nil {
			s.err = err
			return s
		}
		if x != nil && q.Match(x.item) && (after == nil || e.isAfter(q, x.place, *after)) {
			s.list = append(s.list, *x)
		}
	}
	slices.SortFunc(s.list, func(a, b listed) int {
		if q.Oldest {
			return e.comparePlaces(a.place, b.place)
		}
		return e.comparePlaces(b.place, a.place)
	})
	return s
}

func (s *listScan) next() bool {
	if len(s.list) == 0 || s.err != nil {
		return false
	}
	s.cur, s.list = s.list[0], s.list[1:]
	return true
}

func (s *listScan) at() listed               { return s.cur }
func (s *listScan) from() uint64             { return 0 }
func (s *listScan) stopped() (*place, error) { return nil, s.err }
func (s *listScan) close()                   {}
