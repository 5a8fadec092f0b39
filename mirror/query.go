package mirror

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

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

// pageCursor is where a page goes on. It survives restarts and rebuilds, since it
// names no row.
type pageCursor struct {
	crdt.Place // behind which the page begins
	// From is the bound from which postings are read, 0 if the page before went by time.
	From uint64
}

// cursorJSON is how a cursor is given out.
type cursorJSON struct {
	Time uint64   `json:"t"`
	Dot  crdt.Dot `json:"d"`
	From uint64   `json:"f,omitzero"`
}

func (c pageCursor) encode() string {
	raw, err := json.Marshal(cursorJSON{c.Time, c.Dot, c.From})
	if err != nil {
		panic(err) // numbers and a dot
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ErrCursor is returned for a page cursor that no page gave out.
var ErrCursor = errors.New("the cursor is not one that a page gave out")

func parseCursor(s string) (*pageCursor, error) {
	if s == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, ErrCursor
	}
	var c cursorJSON
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, ErrCursor
	}
	return &pageCursor{crdt.Place{Time: c.Time, Dot: c.Dot}, c.From}, nil
}

// Tasks answers a query.
func (m *Mirror) Tasks(q TaskQuery) (page TaskPage, err error) {
	after, err := parseCursor(q.After)
	if err != nil {
		return page, err
	}
	err = m.read(func(s *snapshot) error {
		scan, err := m.scanFor(s, q, after)
		if err != nil {
			return err
		}
		page, err = pageOf(q, scan)
		if errors.Is(err, errTied) {
			page, err = pageOf(q, newTimeScan(s, q, after.place(), m.budget))
		}
		return err
	})
	return page, err
}

// place is where a page begins behind, nil for the first page.
func (c *pageCursor) place() *crdt.Place {
	if c == nil {
		return nil
	}
	return &c.Place
}

// pageOf takes a page off a scan, and closes it.
func pageOf(q TaskQuery, scan taskScan) (TaskPage, error) {
	defer scan.close()
	limit := min(max(q.Limit, 1), MaxPage)
	page := TaskPage{Tasks: []crdt.Item{}}
	var before pageCursor
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
		before.Place = x.place
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
	at() listedTask
	// from is the bound from which postings are to be read for the page that begins
	// with at, 0 where that means nothing.
	from() uint64
	// stopped is where the scan gave up, nil at the end.
	stopped() (*pageCursor, error)
	close() // before the transaction ends
}

// ErrPrefix is returned for a beginning of a request id that is too short or no hex.
var ErrPrefix = errors.New("give at least 4 lower-case hex digits of the request id")

// Task finds the tasks of all nodes whose request id begins with prefix: the
// asking and the executing side of one request have the same. At most limit.
func (m *Mirror) Task(prefix string, limit int) (items []crdt.Item, err error) {
	err = m.read(func(s *snapshot) error {
		return s.tasksWith(prefix, limit, func(t *crdt.Task) error {
			it, _, err := s.list.Show(t)
			items = append(items, it)
			return err
		})
	})
	return items, err
}

// tasksWith calls f for the tasks whose request id begins with prefix, at most limit.
func (s *snapshot) tasksWith(prefix string, limit int, f func(*crdt.Task) error) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	for _, node := range s.tx.Store().Nodes() {
		refs, err := s.tx.TasksOf(node.Number, prefix, limit)
		if err != nil {
			return err
		}
		limit -= len(refs)
		for _, r := range refs {
			task, err := s.task(r)
			if err != nil {
				return err
			}
			if err := f(task); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkPrefix(prefix string) error {
	if len(prefix) < 4 || len(prefix) > 32 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return ErrPrefix
	}
	return nil
}
