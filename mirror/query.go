package mirror

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	badger "github.com/dgraph-io/badger"

	"auditmesh/audit"
	"auditmesh/crdt"
)

// MaxPage is the most tasks or records that one page has.
const MaxPage = 1000

// TaskQuery asks for a page of tasks, newest first.
type TaskQuery struct {
	Node    string // of this node alone; empty: of all
	Removed bool   // also tasks whose records were all removed
	Limit   int    // 1 to MaxPage
	After   string // the Next of the page before; empty: the newest
}

// TaskPage is a page of tasks. Next is empty on the last one.
type TaskPage struct {
	Tasks []crdt.Item `json:"tasks"`
	Next  string      `json:"next,omitempty"`
}

// place is where a task stands in the list: the dot and time that make it so.
// As a cursor it survives restarts and rebuilds, since it names no row.
type place struct {
	Time uint64   `json:"t"`
	Dot  crdt.Dot `json:"d"`
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
	limit := min(max(q.Limit, 1), MaxPage)
	page.Tasks = []crdt.Item{}
	err = m.read(func(s *store, txn *badger.Txn) error {
		e := newEnv(s, txn)
		defer e.close()
		return e.tasksByTime(after, func(p place, it crdt.Item) bool {
			if (q.Node != "" && it.Node != q.Node) || (!it.Present && !q.Removed) {
				return true
			}
			if len(page.Tasks) == limit {
				return false
			}
			page.Tasks = append(page.Tasks, it)
			page.Next = p.encode()
			return true
		}, func() { page.Next = "" })
	})
	return page, err
}

// tasksByTime calls f for each task after a place, newest first, until it
// returns false; done is called when there were no more. Each task's tags are
// all in the order of time; it is listed at the one that gives it its time.
func (e *env) tasksByTime(after *place, f func(place, crdt.Item) bool, done func()) error {
	type entry struct {
		p  place
		it crdt.Item
	}
	var same []entry // of one time, to be put in order
	flush := func() bool {
		slices.SortFunc(same, func(a, b entry) int { return e.compareDots(b.p.Dot, a.p.Dot) })
		for _, x := range same {
			if after != nil && e.comparePlaces(x.p, *after) >= 0 {
				continue
			}
			if !f(x.p, x.it) {
				return false
			}
		}
		same = same[:0]
		return true
	}
	from := []byte{rowTime + 1}
	if after != nil && after.Time < 1<<64-1 {
		from = keyOf(rowTime, after.Time+1)
	}
	it := e.txn.NewIterator(badger.IteratorOptions{Reverse: true, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Seek(from); it.Valid(); it.Next() {
		key := it.Item().Key()
		if key[0] != rowTime {
			if key[0] < rowTime {
				break
			}
			continue
		}
		p := place{Time: binaryTime(key)}
		at := parseRef(key[9:])
		var value []byte
		if err := it.Item().Value(func(v []byte) error { value = append(value[:0], v...); return nil }); err != nil {
			return err
		}
		if value[0] != recordTag {
			continue
		}
		p.Dot = crdt.Dot{Log: e.s.logByNumber(at.log), Seq: at.seq}
		task, err := e.task(parseTaskRef(value[1:]), p.Dot.Node)
		if err != nil {
			return err
		}
		if task.Lowest(e) != p.Dot {
			continue
		}
		if len(same) > 0 && same[0].p.Time != p.Time && !flush() {
			return nil
		}
		same = append(same, entry{p, task.Item(e)})
	}
	if e.fail != nil {
		return e.fail
	}
	if flush() {
		done()
	}
	return nil
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
	if len(prefix) < 4 || len(prefix) > 32 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return ErrPrefix
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

// tasksOf finds a node's tasks by the beginning of their request ids.
func (e *env) tasksOf(node nodeNumber, prefix string, limit int) (refs []taskRef, err error) {
	low, err := hex.DecodeString(prefix + strings.Repeat("0", 32-len(prefix)))
	if err != nil {
		return nil, ErrPrefix
	}
	it := e.txn.NewIterator(badger.IteratorOptions{Prefix: keyOf(rowTag, node)})
	defer it.Close()
	for it.Seek(append(keyOf(rowTag, node), low...)); it.ValidForPrefix(keyOf(rowTag, node)) && len(refs) < limit; {
		r := parseTaskRef(it.Item().Key()[1:])
		if !strings.HasPrefix(hex.EncodeToString(r.request[:]), prefix) {
			break
		}
		refs = append(refs, r)
		next := append(keyOf(rowTag, r), bytes.Repeat([]byte{0xff}, refLen+1)...)
		it.Seek(next)
	}
	return refs, nil
}

// RecordRef is where a record stands, and its recorded time.
type RecordRef struct {
	Log  audit.LogName
	Seq  uint64
	Time uint64
}

// Newest finds the newest records by recorded time, newest first: at most limit,
// of one node if node is not empty. It also returns how far each log was folded
// then, where a follower goes on.
func (m *Mirror) Newest(node string, limit int) (refs []RecordRef, vector map[audit.LogName]uint64, err error) {
	vector = make(map[audit.LogName]uint64)
	err = m.read(func(s *store, txn *badger.Txn) error {
		for _, l := range m.holdings.Logs() {
			c, err := s.cursorOf(txn, nameOf(l))
			if err != nil {
				return err
			}
			vector[nameOf(l)] = c.Size
		}
		it := txn.NewIterator(badger.IteratorOptions{Reverse: true})
		defer it.Close()
		for it.Seek([]byte{rowTime + 1}); it.Valid() && len(refs) < limit; it.Next() {
			key := it.Item().Key()
			if key[0] != rowTime {
				if key[0] < rowTime {
					break
				}
				continue
			}
			at := parseRef(key[9:])
			log := s.logByNumber(at.log)
			if node == "" || log.Node == node {
				refs = append(refs, RecordRef{nameOfLog(log), at.seq, binaryTime(key)})
			}
		}
		return nil
	})
	return refs, vector, err
}
