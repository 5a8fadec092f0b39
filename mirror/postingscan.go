package mirror

import (
	"cmp"
	"container/heap"
	"errors"
	"math"
	"slices"

	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// source gives tasks, the greatest bound first.
type source interface {
	peek() (bound uint64, ok bool) // of the next
	// take is the next, with its first record if that is known and stands, and goes on.
	take() (rows.TaskRef, rows.FirstRecord, error)
	close()
}

// postingSource are the tasks of one posting.
type postingSource struct {
	s  *snapshot
	it *rows.PostingIterator
}

func newPostingSource(s *snapshot, p rows.Posting, from uint64) *postingSource {
	return &postingSource{s, s.tx.PostingIterator(p, from)}
}

func (p *postingSource) peek() (uint64, bool) { return p.it.Bound() }

func (p *postingSource) take() (rows.TaskRef, rows.FirstRecord, error) {
	log, task, first, err := p.it.Next()
	if err != nil {
		return task, first, err
	}
	stands, err := p.s.stands(task, log, first)
	if !stands {
		first = rows.FirstRecord{}
	}
	return task, first, err
}

func (p *postingSource) close() { p.it.Close() }

// openSource are the open tasks.
type openSource []rows.OpenTask

func newOpenSource(list []rows.OpenTask, from uint64) *openSource {
	list = slices.DeleteFunc(list, func(o rows.OpenTask) bool { return o.Bound > from })
	slices.SortFunc(list, func(a, b rows.OpenTask) int { return cmp.Compare(b.Bound, a.Bound) })
	s := openSource(list)
	return &s
}

func (s *openSource) peek() (uint64, bool) {
	if len(*s) == 0 {
		return 0, false
	}
	return (*s)[0].Bound, true
}

func (s *openSource) take() (rows.TaskRef, rows.FirstRecord, error) {
	r := (*s)[0].Task
	*s = (*s)[1:]
	return r, rows.FirstRecord{}, nil
}

func (s *openSource) close() {}

// postingScan goes through the tasks of some sources, newest first. A task's place
// is not after its bound, so what was found is next once all that is unread is
// bounded by less.
type postingScan struct {
	s      *snapshot
	q      TaskQuery
	after  *pageCursor
	budget int

	sources []source
	found   candidates
	seen    map[rows.TaskRef]bool
	cur     candidate
	last    uint64 // the bound of the last
	fresh   bool   // some were not gone through by the pages before
	spent   bool
	err     error
}

// candidate is a task that was found, with the bound at which it was. One whose first
// record stands is read once it may be next: until then its place has but a time, which
// is not before that of the task's.
type candidate struct {
	listedTask
	bound  uint64
	task   rows.TaskRef
	unread bool
}

// candidates is a heap of them, the newest place at the top, what is unread before
// what is of the same time.
type candidates struct {
	s    *snapshot
	list []candidate
}

func (w *candidates) Len() int { return len(w.list) }
func (w *candidates) Less(i, j int) bool {
	a, b := w.list[i], w.list[j]
	if a.place.Time == b.place.Time && a.unread != b.unread {
		return a.unread
	}
	return w.s.list.ComparePlaces(a.place, b.place) > 0
}
func (w *candidates) Swap(i, j int) { w.list[i], w.list[j] = w.list[j], w.list[i] }
func (w *candidates) Push(x any)    { w.list = append(w.list, x.(candidate)) }
func (w *candidates) Pop() any {
	last := w.list[len(w.list)-1]
	w.list = w.list[:len(w.list)-1]
	return last
}

func newPostingScan(s *snapshot, q TaskQuery, after *pageCursor, budget int, sources ...source) *postingScan {
	return &postingScan{s: s, q: q, after: after, budget: budget, sources: sources, seen: make(map[rows.TaskRef]bool), found: candidates{s: s}}
}

// startOf is the bound from which the sources of a page are read.
func startOf(after *pageCursor) uint64 {
	if after != nil && after.From > 0 {
		return after.From
	}
	return math.MaxUint64
}

// unread is the source with the greatest bound, false if none has any that could
// matter.
func (p *postingScan) unread() (which source, bound uint64, ok bool) {
	for _, src := range p.sources {
		if b, some := src.peek(); some && b >= p.q.Since && (!ok || b > bound) {
			which, bound, ok = src, b, true
		}
	}
	return which, bound, ok
}

func (p *postingScan) next() bool {
	for p.err == nil {
		which, bound, more := p.unread()
		if p.found.Len() > 0 && (!more || p.found.list[0].place.Time > bound) {
			x := heap.Pop(&p.found).(candidate)
			if !x.unread {
				p.cur = x
				return true
			}
			p.err = p.read(x.task, x.bound)
			continue
		}
		if !more {
			return false
		}
		if p.budget <= 0 {
			// A bound is gone through whole: a place cannot say more.
			if p.spent = p.fresh && bound < p.last; !p.spent {
				p.err = errTied
			}
			return false
		}
		p.budget--
		p.fresh = p.fresh || p.after == nil || bound < p.after.Time
		p.last = bound
		p.err = p.take(which, bound)
	}
	return false
}

// errTied means that too many postings have one bound, or bounds far after the
// time of their tasks, as in a log whose clock was wrong for a while.
var errTied = errors.New("too many postings of one bound")

// take reads the next of a source.
func (p *postingScan) take(which source, bound uint64) error {
	r, first, err := which.take()
	if err != nil || p.seen[r] {
		return err
	}
	p.seen[r] = true
	if first.Known {
		heap.Push(&p.found, candidate{listedTask{place: crdt.Place{Time: first.Bound}}, bound, r, true})
		return nil
	}
	return p.read(r, bound)
}

// read reads a task that was found at a bound.
func (p *postingScan) read(r rows.TaskRef, bound uint64) error {
	x, err := p.s.listed(r)
	if err != nil || x == nil || !p.q.Match(x.item) || p.after != nil && !p.s.isAfter(p.q, x.place, p.after.Place) {
		return err
	}
	heap.Push(&p.found, candidate{listedTask: *x, bound: bound})
	return nil
}

func (p *postingScan) at() listedTask { return p.cur.listedTask }

// from is the bound at which a later page begins to read, if cur is not on this.
func (p *postingScan) from() uint64 {
	_, from, _ := p.unread()
	for _, x := range append(p.found.list, p.cur) {
		from = max(from, x.bound)
	}
	return from
}

// stopped is the place behind all that was gone through, nil at the end.
func (p *postingScan) stopped() (*pageCursor, error) {
	if !p.spent || p.err != nil {
		return nil, p.err
	}
	_, bound, _ := p.unread()
	end := pageCursor{Place: crdt.Place{Time: bound + 1}} // behind all of its time: no dot is as low as the zero one
	for _, x := range p.found.list {
		end.From = max(end.From, x.bound)
	}
	end.From = max(end.From, bound)
	return &end, nil
}

func (p *postingScan) close() {
	for _, src := range p.sources {
		src.close()
	}
}
