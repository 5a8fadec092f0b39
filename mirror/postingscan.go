package mirror

import (
	"container/heap"
	"encoding/binary"
	"math"

	badger "github.com/dgraph-io/badger"
)

// postingScan goes through the tasks of some postings, newest first. Postings are
// read from the greatest bound down. A task's place is not after its posting's
// bound, so what was found is next once all that is unread is bounded by less.
type postingScan struct {
	e      *env
	q      TaskQuery
	after  *place
	budget int

	its   []*badger.Iterator // one a posting
	of    []posting
	found waiting
	seen  map[taskRef]bool
	cur   waited
	last  uint64 // the bound of the last that counted
	spent bool
	err   error
}

// waited is a task that was found, with the bound at which it was.
type waited struct {
	listed
	bound uint64
}

// waiting is a heap of them, the newest place at the top.
type waiting struct {
	e    *env
	list []waited
}

func (w *waiting) Len() int           { return len(w.list) }
func (w *waiting) Less(i, j int) bool { return w.e.comparePlaces(w.list[i].place, w.list[j].place) > 0 }
func (w *waiting) Swap(i, j int)      { w.list[i], w.list[j] = w.list[j], w.list[i] }
func (w *waiting) Push(x any)         { w.list = append(w.list, x.(waited)) }
func (w *waiting) Pop() any {
	last := w.list[len(w.list)-1]
	w.list = w.list[:len(w.list)-1]
	return last
}

func newPostingScan(e *env, q TaskQuery, after *place, budget int, of []posting) *postingScan {
	s := &postingScan{e: e, q: q, after: after, budget: budget, of: of, seen: make(map[taskRef]bool), found: waiting{e: e}}
	from := uint64(math.MaxUint64)
	if after != nil && after.From > 0 {
		from = after.From
	}
	for _, p := range of {
		it := e.txn.NewIterator(badger.IteratorOptions{Reverse: true})
		it.Seek(append(binary.BigEndian.AppendUint64(p.prefix(), from), maxRef[:]...))
		s.its = append(s.its, it)
	}
	return s
}

// maxRef is behind all refs of one bound.
var maxRef = [refLen + 1]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// unread is the posting of the greatest bound that was not read, false if there
// is none that could matter.
func (s *postingScan) unread() (which int, bound uint64, ok bool) {
	for i, it := range s.its {
		if !it.ValidForPrefix(s.of[i].prefix()) {
			continue
		}
		if b := binary.BigEndian.Uint64(it.Item().Key()[postingPrefix:]); b >= s.q.Since && (!ok || b > bound) {
			which, bound, ok = i, b, true
		}
	}
	return which, bound, ok
}

func (s *postingScan) next() bool {
	for s.err == nil {
		which, bound, more := s.unread()
		if s.found.Len() > 0 && (!more || s.found.list[0].place.Time > bound) {
			s.cur = heap.Pop(&s.found).(waited)
			return true
		}
		if !more {
			return false
		}
		fresh := s.after == nil || bound < s.after.Time // what is gone through again is free
		if fresh && s.budget <= 0 && bound < s.last {   // one bound is read whole: a place says no more
			s.spent = true
			return false
		}
		if fresh {
			s.budget--
			s.last = bound
		}
		s.err = s.take(which, bound)
	}
	return false
}

// take reads a posting.
func (s *postingScan) take(which int, bound uint64) error {
	var r taskRef
	err := s.its[which].Item().Value(func(v []byte) error {
		r = parseTaskRef(v)
		return nil
	})
	s.its[which].Next()
	if err != nil || s.seen[r] {
		return err
	}
	s.seen[r] = true
	x, err := s.e.listed(r)
	if err != nil || x == nil || !s.q.Match(x.item) || s.after != nil && !s.e.isAfter(s.q, x.place, *s.after) {
		return err
	}
	heap.Push(&s.found, waited{*x, bound})
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
	p := endOf(bound+1, false)
	for _, x := range s.found.list {
		p.From = max(p.From, x.bound)
	}
	p.From = max(p.From, bound)
	return &p, nil
}

func (s *postingScan) close() {
	for _, it := range s.its {
		it.Close()
	}
}
