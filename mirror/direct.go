package mirror

import (
	"slices"

	"auditmesh/crdt"
)

// maxDirect is how many tasks a page may be chosen from that are looked up by
// their request ids. More are met faster in the order of time.
const maxDirect = 1000

// direct answers a query for tasks by their request ids, which the rows of tags
// are in the order of. It returns false where that does not serve.
func (e *env) direct(q TaskQuery, after *place, limit int, page *TaskPage) (bool, error) {
	refs := make(map[taskRef]string) // to node
	for _, prefix := range q.Requests {
		if checkPrefix(prefix) != nil {
			return false, nil
		}
		for _, node := range e.s.allNodes() {
			if len(q.Nodes) > 0 && !slices.Contains(q.Nodes, node.id) {
				continue
			}
			list, err := e.tasksOf(node.num, prefix, maxDirect+1)
			if err != nil {
				return true, err
			}
			for _, r := range list {
				refs[r] = node.id
			}
			if len(refs) > maxDirect {
				return false, nil
			}
		}
	}
	var found []listed
	for r, node := range refs {
		t, err := e.task(r, node)
		if err != nil {
			return true, err
		}
		x := listed{item: t.Item(e)}
		x.place = place{x.item.Time, t.Lowest(e)}
		if q.Match(x.item) && (after == nil || e.isAfter(q, x.place, *after)) {
			found = append(found, x)
		}
	}
	slices.SortFunc(found, func(a, b listed) int {
		if q.Oldest {
			return e.comparePlaces(a.place, b.place)
		}
		return e.comparePlaces(b.place, a.place)
	})
	if len(found) > limit {
		found = found[:limit]
		page.Next = found[limit-1].place.encode()
	}
	page.Tasks = make([]crdt.Item, len(found))
	for i, x := range found {
		page.Tasks[i] = x.item
	}
	return true, e.fail
}
