package mirror

import (
	"errors"

	"auditmesh/audit/holdings"
	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// scanFor picks the index for a query: the one that has to look at the least.
func (m *Mirror) scanFor(s *snapshot, q TaskQuery, after *pageCursor) (taskScan, error) {
	if refs, ok, err := s.lookUp(q); ok || err != nil {
		return newListScan(s, q, after.place(), refs), err
	}
	wentByTime := after != nil && after.From == 0
	if !q.Oldest && q.Until == 0 && !wentByTime {
		sources, err := m.sources(s, q.Filter, startOf(after))
		if err != nil || sources != nil {
			return newPostingScan(s, q, after, m.budget, sources...), err
		}
	}
	return newTimeScan(s, q, after.place(), m.budget), nil
}

// sources find all tasks that fit a filter; nil if there are none for it, or they
// may not be used now.
func (m *Mirror) sources(s *snapshot, f Filter, from uint64) ([]source, error) {
	single, inOrder, err := s.inOrder(m.holdings.Logs())
	if err != nil || !inOrder {
		return nil, err
	}
	ranges, inner, err := s.tx.AnyRanges()
	if err != nil {
		return nil, err
	}
	if len(f.States) > 0 && len(without(f.States, StateRunning)) == 0 {
		// An exit that was removed leaves a task open that the set does not have.
		if !single || inner {
			return nil, nil
		}
		open, err := s.tx.OpenTasks(maxOpen)
		if errors.Is(err, rows.ErrTooMany) {
			return nil, nil
		}
		return []source{newOpenSource(open, from)}, err
	}
	of, ok, err := s.postingsFor(f)
	if err != nil || !ok || ranges && f.OnlyRemoved { // what ranges remove has no posting that says so
		return nil, err
	}
	sources := []source{}
	for _, p := range of {
		sources = append(sources, newPostingSource(s, p, from))
	}
	return sources, nil
}

// maxOpen bounds the open tasks that are sorted for a question.
const maxOpen = 20_000

// inOrder says whether postings may be used: whether a node's logs follow one
// another in time as they do in order, so that bounds hold for tasks that have
// records in several.
func (s *snapshot) inOrder(logs []holdings.Log) (single, ok bool, err error) {
	type period struct {
		log           crdt.Log
		first, latest uint64
	}
	of := make(map[string][]period)
	single, ok = true, true
	for _, l := range logs {
		c, err := cursorOf(s.tx, l)
		if err != nil {
			return false, false, err
		}
		this := period{rows.LogOf(holdings.NameOf(l)), c.StartTime, c.Greatest}
		for _, other := range of[this.log.Node] {
			single = false
			earlier, later := other, this
			if crdt.CompareDots(s.list, crdt.Dot{Log: this.log}, crdt.Dot{Log: other.log}) < 0 {
				earlier, later = this, other
			}
			ok = ok && earlier.latest <= later.first
		}
		of[this.log.Node] = append(of[this.log.Node], this)
	}
	return single, ok, s.list.Err()
}
