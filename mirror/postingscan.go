package mirror

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"math"
	"sort"

	badger "github.com/dgraph-io/badger"
)

// source gives tasks, the greatest bound first.
type source interface {
	peek() (bound uint64, ok bool) // of the next
	take() (taskRef, begin, error) // it with its begin, if that is known and stands, and goes on
	close()
}

// rowSource are the tasks of one posting.
type rowSource struct {
	e  *env
	p  posting
	it *badger.Iterator
}

func newRowSource(e *env, p posting, from uint64) *rowSource {
	it := e.txn.NewIterator(badger.IteratorOptions{Reverse: true})
	it.Seek(append(binary.BigEndian.AppendUint64(p.prefix(), from), maxRef[:]...))
	return &rowSource{e, p, it}
}

// maxRef is behind all refs of one bound.
var maxRef = [refLen + 1]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func (s *rowSource) peek() (uint64, bool) {
	if !s.it.ValidForPrefix(s.p.prefix()) {
		return 0, false
	}
	return binary.BigEndian.Uint64(s.it.Item().Key()[postingPrefix:]), true
}

func (s *rowSource) take() (taskRef, begin, error) {
	r, b, err := s.e.postedTask(s.it.Item())
	s.it.Next()
	return r, b, err
}

func (s *rowSource) close() { s.it.Close() }

// listSource are tasks that are known.
type listSource []bounded

func newListSource(list []bounded, from uint64) *listSource {
	s := listSource(list[sort.Search(len(list), func(i int) bool { return list[i].bound <= from }):])
	return &s
}

func (s *listSource) peek() (uint64, bool) {
	if len(*s) == 0 {
		return 0, false
	}
	return (*s)[0].bound, true
}

func (s *listSource) take() (taskRef, begin, error) {
	r := (*s)[0].task
	*s = (*s)[1:]
	return r, begin{}, nil
}

func (s *listSource) close() {}

// postingScan goes through the tasks of some sources, newest first. A task's place
// is not after its bound, so what was found is next once all that is unread is
// bounded by less.
type postingScan struct {
	e      *env
	q      TaskQuery
	after  *place
	budget int

	sources []source
	found   waiting
	seen    map[taskRef]bool
	cur     waited
	last    uint64 // the bound of the last
	fresh   bool   // some were not gone through by the pages before
	spent   bool
	err     error
}

// waited is a task that was found, with the bound at which it was. One whose begin
// stands is read once it may be next: until then its place has but a time, which
// is not before that of the task's.
type waited struct {
	listed
	bound  uint64
	task   taskRef
	unread bool
}

// waiting is a heap of them, the newest place at the top, what is unread before
// what is of the same time.
type waiting struct {
	e    *env
	list []waited
}

func (w *waiting) Len() int { return len(w.list) }
func (w *waiting) Less(i, j int) bool {
	a, b := w.list[i], w.list[j]
	if a.place.Time == b.place.Time && a.unread != b.unread {
		return a.unread
	}
	return w.e.comparePlaces(a.place, b.place) > 0
}
func (w *waiting) Swap(i, j int) { w.list[i], w.list[j] = w.list[j], w.list[i] }
func (w *waiting) Push(x any)    { w.list = append(w.list, x.(waited)) }
func (w *waiting) Pop() any {
	last := w.list[len(w.list)-1]
	w.list = w.list[:len(w.list)-1]
	return last
}

func newPostingScan(e *env, q TaskQuery, after *place, budget int, sources ...source) *postingScan {
	return &postingScan{e: e, q: q, after: after, budget: budget, sources: sources, seen: make(map[taskRef]bool), found: waiting{e: e}}
}

// startOf is the bound from which the sources of a page are read.
func startOf(after *place) uint64 {
	if after != nil && after.From > 0 {
		return after.From
	}
	return math.MaxUint64
}

// unread is the source with the greatest bound, false if none has any that could
// matter.
func (s *postingScan) unread() (which source, bound uint64, ok bool) {
	for _, src := range s.sources {
		if b, some := src.peek(); some && b >= s.q.Since && (!ok || b > bound) {
			which, bound, ok = src, b, true
		}
	}
	return which, bound, ok
}

func (s *postingScan) next() bool {
	for s.err == nil {
		which, bound, more := s.unread()
		if s.found.Len() > 0 && (!more || s.found.list[0].place.Time > bound) {
			x := heap.Pop(&s.found).(waited)
			if !x.unread {
				s.cur = x
				return true
			}
			s.err = s.read(x.task, x.bound)
			continue
		}
		if !more {
			return false
		}
		if s.budget <= 0 {
			// A bound is gone through whole: a place cannot say more.
			if s.spent = s.fresh && bound < s.last; !s.spent {
				s.err = errTied
			}
			return false
		}
		s.budget--
		s.fresh = s.fresh || s.after == nil || bound < s.after.Time
		s.last = bound
		s.err = s.take(which, bound)
	}
	return false
}

// errTied means that too many postings have one bound, or bounds far after the
// time of their tasks, as in a log whose clock was wrong for a while.
var errTied = errors.New("too many postings of one bound")

// take reads the next of a source.
func (s *postingScan) take(which source, bound uint64) error {
	r, b, err := which.take()
	if err != nil || s.seen[r] {
		return err
	}
	s.seen[r] = true
	if b.known {
		heap.Push(&s.found, waited{listed{place: place{Time: b.bound}}, bound, r, true})
		return nil
	}
	return s.read(r, bound)
}

// read reads a task that was found at a bound.
func (s *postingScan) read(r taskRef, bound uint64) error {
	x, err := s.e.listed(r)
	if err != nil || x == nil || !s.q.Match(x.item) || s.after != nil && !s.e.isAfter(s.q, x.place, *s.after) {
		return err
	}
	heap.Push(&s.found, waited{listed: *x, bound: bound})
	return nil
}

func (s *postingScan) at() listed { return s.cur.listed }

// from is the bound at which a later page begins to read, if cur is not on this.
func (s *postingScan) from() uint64 {
	_, from, _ := s.unread()
	for _, x := range append(s.found.list, s.cur) {
		from = max(from, x.bound)
	}
	return from
}

// stopped is the place behind all that was gone through, nil at the end.
func (s *postingScan) stopped() (*place, error) {
	if !s.spent || s.err != nil {
		return nil, s.err
	}
	_, bound, _ := s.unread()
	p := place{Time: bound + 1} // behind all of its time: no dot is as low as the zero one
	for _, x := range s.found.list {
		p.From = max(p.From, x.bound)
	}
	p.From = max(p.From, bound)
	return &p, nil
}

func (s *postingScan) close() {
	for _, src := range s.sources {
		src.close()
	}
}
