package mirror

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"

	badger "github.com/dgraph-io/badger"

	"auditmesh/crdt"
)

// MaxPage is the most tasks or records that one page has.
const MaxPage = 1000

// scanBudget is how many records one page looks at: what fits no filter costs
// time too, and nobody is to wait for it without a word.
const scanBudget = 3000

// TaskQuery asks for a page of tasks.
type TaskQuery struct {
	Filter
	Oldest bool   // oldest first; otherwise newest first
	Limit  int    // 1 to MaxPage
	After  string // the Next of the page before; empty: the first page
}

// TaskPage is a page of tasks. Next is empty on the last one. Partial says that
// the page has less than was asked for because looking for more would have taken
// too long: Next goes on looking.
type TaskPage struct {
	Tasks   []crdt.Item `json:"tasks"`
	Next    string      `json:"next,omitempty"`
	Partial bool        `json:"partial,omitempty"`
}

// place is where a task stands in the list: the dot and time that make it so.
// As a cursor it survives restarts and rebuilds, since it names no row.
type place struct {
	Time uint64   `json:"t"`
	Dot  crdt.Dot `json:"d"`
	// From is the bound from which postings are read for what comes after, where
	// the page is one of them.
	From uint64 `json:"f,omitzero"`
}

func (p place) encode() string {
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // a number and a dot
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ErrCursor is returned for a page cursor that no page gave out.
var ErrCursor = errors.New("the cursor is not one that a page gave out")

func parsePlace(s string) (*place, error) {
	if s == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, ErrCursor
	}
	var p place
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, ErrCursor
	}
	return &p, nil
}

// Tasks answers a query.
func (m *Mirror) Tasks(q TaskQuery) (page TaskPage, err error) {
	after, err := parsePlace(q.After)
	if err != nil {
		return page, err
	}
	err = m.read(func(s *store, txn *badger.Txn) error {
		e := newEnv(s, txn)
		defer e.close()
		scan, err := m.scanFor(e, q, after)
		if err != nil {
			return err
		}
		page, err = pageOf(q, scan)
		if errors.Is(err, errTied) {
			page, err = pageOf(q, newTimeScan(e, q, after, m.budget))
		}
		return err
	})
	return page, err
}

// pageOf takes a page off a scan, and closes it.
func pageOf(q TaskQuery, scan taskScan) (TaskPage, error) {
	defer scan.close()
	limit := min(max(q.Limit, 1), MaxPage)
	page := TaskPage{Tasks: []crdt.Item{}}
	var before place
	for scan.next() {
		x := scan.at()
		if q.Match(x.item) {
			if len(page.Tasks) == limit {
				before.From = scan.from()
				page.Next = before.encode()
				return page, nil
			}
			page.Tasks = append(page.Tasks, x.item)
		}
		before = x.place
	}
	end, err := scan.stopped()
	if end != nil {
		page.Partial, page.Next = true, end.encode()
	}
	return page, err
}

// taskScan goes through tasks in the order of a query: all that fit, and maybe
// others.
type taskScan interface {
	next() bool // goes on to the next
	at() listed
	// from is the bound from which postings are to be read for the page that begins
	// with at, 0 where that means nothing.
	from() uint64
	// stopped is where the scan gave up, nil at the end.
	stopped() (*place, error)
	close() // before the transaction ends
}

// scanFor is the scan that looks at the least.
func (m *Mirror) scanFor(e *env, q TaskQuery, after *place) (taskScan, error) {
	if refs, ok, err := e.direct(q); ok || err != nil {
		return newListScan(e, q, after, refs), err
	}
	wentByTime := after != nil && after.From == 0
	if !q.Oldest && q.Until == 0 && !wentByTime {
		sources, err := m.sources(e, q.Filter, startOf(after))
		if err != nil || sources != nil {
			return newPostingScan(e, q, after, m.budget, sources...), err
		}
	}
	return newTimeScan(e, q, after, m.budget), nil
}

// sources find all tasks that fit a filter; nil if there are none for it, or they
// may not be used now.
func (m *Mirror) sources(e *env, f Filter, from uint64) ([]source, error) {
	single, inOrder, err := e.inOrder(m.holdings.Logs())
	if err != nil || !inOrder {
		return nil, err
	}
	ranges, inner, err := e.hasRanges()
	if err != nil {
		return nil, err
	}
	if len(f.States) > 0 && len(without(f.States, StateRunning)) == 0 {
		// An exit that was removed leaves a task open that the set does not have.
		if !single || inner {
			return nil, nil
		}
		open, err := e.openTasks()
		if errors.Is(err, errTooMany) {
			return nil, nil
		}
		return []source{newListSource(open, from)}, err
	}
	of, ok, err := e.postingsFor(f)
	if err != nil || !ok || ranges && f.OnlyRemoved { // what ranges remove has no posting that says so
		return nil, err
	}
	sources := []source{}
	for _, p := range of {
		sources = append(sources, newRowSource(e, p, from))
	}
	return sources, nil
}

func binaryTime(key []byte) uint64 {
	var t uint64
	for _, b := range key[1:9] {
		t = t<<8 | uint64(b)
	}
	return t
}

func (e *env) compareDots(a, b crdt.Dot) int { return crdt.CompareDots(e, a, b) }

func (e *env) comparePlaces(a, b place) int {
	if c := cmp.Compare(a.Time, b.Time); c != 0 {
		return c
	}
	return e.compareDots(a.Dot, b.Dot)
}

// ErrPrefix is returned for a beginning of a request id that is too short or no hex.
var ErrPrefix = errors.New("give at least 4 lower-case hex digits of the request id")

// Task finds the tasks of all nodes whose request id begins with prefix: the
// asking and the executing side of one request have the same. At most limit.
func (m *Mirror) Task(prefix string, limit int) (items []crdt.Item, err error) {
	err = m.read(func(s *store, txn *badger.Txn) error {
		e := newEnv(s, txn)
		defer e.close()
		return e.tasksWith(prefix, limit, func(t *crdt.Task) { items = append(items, t.Item(e)) })
	})
	return items, err
}

// tasksWith calls f for the tasks whose request id begins with prefix, at most limit.
func (e *env) tasksWith(prefix string, limit int, f func(*crdt.Task)) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	for _, node := range e.s.allNodes() {
		refs, err := e.tasksOf(node.num, prefix, limit)
		if err != nil {
			return err
		}
		limit -= len(refs)
		for _, r := range refs {
			task, err := e.task(r, node.id)
			if err != nil {
				return err
			}
			f(task)
		}
	}
	return e.fail
}

func checkPrefix(prefix string) error {
	if len(prefix) < 4 || len(prefix) > 32 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return ErrPrefix
	}
	return nil
}

// tasksOf finds a node's tasks by the beginning of their request ids.
func (e *env) tasksOf(node nodeNumber, prefix string, limit int) (refs []taskRef, err error) {
	low, err := hex.DecodeString(prefix + strings.Repeat("0", 32-len(prefix)))
	if err != nil {
		return nil, ErrPrefix
	}
	it := e.txn.NewIterator(badger.IteratorOptions{Prefix: keyOf(rowTask, node)})
	defer it.Close()
	for it.Seek(append(keyOf(rowTask, node), low...)); it.ValidForPrefix(keyOf(rowTask, node)) && len(refs) < limit; {
		r, class, _ := parseTaskRow(it.Item().Key())
		if !strings.HasPrefix(hex.EncodeToString(r.request[:]), prefix) {
			break
		}
		if class == classTag { // else only reviews are here
			refs = append(refs, r)
		}
		it.Seek(keyOf(rowTask, r, class+1))
	}
	return refs, nil
}
