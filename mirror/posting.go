package mirror

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	badger "github.com/dgraph-io/badger"

	"auditmesh/audit/holdings"
	"auditmesh/crdt"
)

// Postings find the tasks of sparse filters. One is put for what a record alone
// says, so the fold reads nothing for it, and taken out by retention like every
// row. It stands at the record's bound: the greatest time of its log so far. A
// task's place is at this record or at an earlier one of the log, so the bound is
// never before the time of the place; postingScan rests on that. Whether the task
// fits is seen when it is read.
const (
	postAgent   = 'a'
	postMachine = 'm'
	postReason  = 'r'
	postEvent   = 'e' // those that few tasks have
	postFailed  = 'f'
	postRemoved = 'd' // by its request id
)

// posting is what a filter looks for: a kind, and eight bytes of the value.
type posting struct {
	kind  byte
	value [8]byte
}

func idPosting(kind byte, id [32]byte) posting { return posting{kind, [8]byte(id[:])} }

func textPosting(kind byte, text string) posting {
	sum := sha256.Sum256([]byte(text))
	return posting{kind, [8]byte(sum[:])}
}

func (p posting) prefix() []byte { return append([]byte{rowPosting, p.kind}, p.value[:]...) }

func (p posting) key(bound uint64, at ref) []byte {
	k := binary.BigEndian.AppendUint64(p.prefix(), bound)
	k = binary.BigEndian.AppendUint32(k, uint32(at.log))
	return binary.BigEndian.AppendUint64(k, at.seq)
}

const postingPrefix = 10 // length of posting.prefix

// postings are those of an operation on a task.
func postings(op crdt.Op) []posting {
	switch b := op.Body.(type) {
	case crdt.Request:
		return []posting{idPosting(postAgent, b.Agent), idPosting(postMachine, b.Machine)}
	case crdt.Denial:
		return []posting{
			idPosting(postAgent, b.Agent), idPosting(postMachine, b.Machine),
			textPosting(postReason, b.Reason), textPosting(postEvent, "denial"),
		}
	case crdt.Warning:
		return []posting{textPosting(postEvent, "warning")}
	case crdt.Application:
		return []posting{textPosting(postEvent, b.Name)}
	case crdt.Exit:
		if b.Signal != nil || b.Code != nil && *b.Code != 0 {
			return []posting{{kind: postFailed}}
		}
	case crdt.Removal:
		return []posting{{kind: postRemoved}}
	}
	return nil
}

// post puts the postings of an operation, and keeps the set of open tasks: those
// that were started and have no exit yet.
func (f *folder) post(op crdt.Op, task taskRef, at ref, b begin) error {
	for _, p := range postings(op) {
		var value []byte
		// Else the row of the order of time says which task it is, and where it begins.
		if f.bound != op.Time || !crdt.IsTag(op.Body) || p.kind == postFailed {
			value = b.append(keyOf(rowPosting, task)[1:], at, f.bound)
		}
		if err := f.set(p.key(f.bound, at), value); err != nil {
			return err
		}
	}
	switch op.Body.(type) {
	case crdt.Removal:
		return f.markRemoved(task, at)
	case crdt.Started:
		value := keyOf(rowOpen, f.bound, at)[1:]
		if !f.undo {
			f.opened[task] = value
		} else if f.s.holds(f.txn, keyOf(rowOpen, task), value) { // else it was started again
			return f.txn.Delete(keyOf(rowOpen, task))
		}
	case crdt.Exit, crdt.Denial:
		if f.undo {
			return nil // a start before it went first; one after it is open now, and has its row
		}
		if f.opened[task] == nil {
			return f.txn.Delete(keyOf(rowOpen, task))
		}
		// What starts and ends in one step never has a row. One of an earlier start
		// may stay: whether a task still runs is seen when it is read.
		delete(f.opened, task)
	}
	return nil
}

// markRemoved says of a task that records of it were removed by its request id.
func (f *folder) markRemoved(task taskRef, at ref) error {
	key, value := keyOf(rowRemoved, task, at.log), keyOf(rowRemoved, at.seq)[1:]
	if f.undo && !f.s.holds(f.txn, key, value) {
		return nil // there is a later removal
	}
	return f.set(key, value)
}

// putOpened puts the tasks that the step leaves open.
func (f *folder) putOpened() error {
	for task, value := range f.opened {
		if err := f.txn.Set(keyOf(rowOpen, task), value); err != nil {
			return err
		}
	}
	return nil
}

// inOrder says whether postings may be used: whether a node's logs follow one
// another in time as they do in order, so that bounds hold for tasks that have
// records in several.
func (e *env) inOrder(logs []holdings.Log) (single, ok bool, err error) {
	type span struct {
		log         crdt.Log
		begin, most uint64
	}
	of := make(map[string][]span)
	single, ok = true, true
	for _, l := range logs {
		c, err := e.s.cursorOf(e.txn, l)
		if err != nil {
			return false, false, err
		}
		name := logOf(holdings.NameOf(l))
		s := span{name, c.Begin, c.Most}
		for _, o := range of[name.Node] {
			single = false
			first, second := o, s
			if e.compareDots(crdt.Dot{Log: s.log}, crdt.Dot{Log: o.log}) < 0 {
				first, second = s, o
			}
			ok = ok && first.most <= second.begin
		}
		of[name.Node] = append(of[name.Node], s)
	}
	return single, ok, e.fail
}

// hasRanges says whether any removal of ranges is folded, and whether one leaves
// records before what it removes.
func (e *env) hasRanges() (any, inner bool, err error) {
	err = e.scan([]byte{rowRange}, func(_, value []byte) (bool, error) {
		any = true
		for ; len(value) >= 16 && !inner; value = value[16:] {
			inner = binary.BigEndian.Uint64(value) > 0
		}
		return !inner, nil
	})
	return any, inner, err
}

var errTooMany = errors.New("too many to look up")

// openTasks are the tasks that were started and have no exit, the greatest bound
// first; errTooMany if they are more than may be sorted.
func (e *env) openTasks() (list []bounded, err error) {
	err = e.scan([]byte{rowOpen}, func(key, value []byte) (bool, error) {
		if len(list) == maxOpen {
			return false, errTooMany
		}
		list = append(list, bounded{binary.BigEndian.Uint64(value), parseTaskRef(key[1:])})
		return true, nil
	})
	slices.SortFunc(list, func(a, b bounded) int { return cmp.Compare(b.bound, a.bound) })
	return list, err
}

// bounded is a task that stands at no later time than the bound.
type bounded struct {
	bound uint64
	task  taskRef
}

// maxOpen bounds the open tasks that are sorted for a question.
const maxOpen = 20_000

// postedTask is the task of a posting, and where it begins, if that is known and
// stands.
func (e *env) postedTask(item *badger.Item) (r taskRef, b begin, err error) {
	place := item.Key()[postingPrefix:] // the bound and the ref
	bound, at := binary.BigEndian.Uint64(place), parseRef(place[8:])
	said := false
	err = item.Value(func(v []byte) error {
		if said = len(v) >= taskRefLen; said {
			r, b = parseTaskRef(v), parseBegin(v[taskRefLen:], at, bound)
		}
		return nil
	})
	if err != nil {
		return r, b, err
	}
	if !said { // the bound is the time then
		row, err := e.txn.Get(append([]byte{rowTime}, place...))
		if err != nil {
			return r, b, err
		}
		if err := row.Value(func(v []byte) error {
			r, b, _ = e.s.timeTag(at, bound, v)
			return nil
		}); err != nil {
			return r, b, err
		}
	}
	if !e.stands(r, at.log, b) {
		b = begin{}
	}
	return r, b, nil
}

// maxValues is how many values of one filter are gone through side by side.
const maxValues = 16

// idPostings are the postings of a kind whose id begins with a prefix in hex. Only
// ids that are there are found: the rows are in their order.
func (e *env) idPostings(kind byte, prefix string, list []posting) ([]posting, error) {
	prefix = prefix[:min(len(prefix), 16)]
	low, err := hex.DecodeString(prefix + strings.Repeat("0", 16-len(prefix)))
	if err != nil {
		return list, nil // no id begins so
	}
	it := e.txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	for p := (posting{kind, [8]byte(low)}); ; {
		it.Seek(p.prefix())
		if !it.ValidForPrefix([]byte{rowPosting, kind}) {
			return list, nil
		}
		p.value = [8]byte(it.Item().Key()[2:postingPrefix])
		if !strings.HasPrefix(hex.EncodeToString(p.value[:]), prefix) {
			return list, nil
		}
		if len(list) == maxValues {
			return list, errTooMany
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
		next := binary.BigEndian.Uint64(p.value[:]) + 1
		if next == 0 {
			return list, nil
		}
		binary.BigEndian.PutUint64(p.value[:], next)
	}
}

// postingsFor are the postings at which all tasks that fit the filter are found;
// false if it asks for nothing that has any.
func (e *env) postingsFor(f Filter) (list []posting, ok bool, err error) {
	texts := func(kind byte, values []string) {
		for _, v := range values {
			list = append(list, textPosting(kind, v))
		}
	}
	ids := func(kind byte, prefixes []string) {
		for _, p := range prefixes {
			if err == nil {
				list, err = e.idPostings(kind, p, list)
			}
		}
	}
	switch {
	case len(f.Reasons) > 0:
		texts(postReason, f.Reasons)
	case len(f.States) > 0 && len(without(f.States, StateFailed, StateDenied)) == 0:
		if slices.Contains(f.States, StateFailed) {
			list = append(list, posting{kind: postFailed})
		}
		if slices.Contains(f.States, StateDenied) {
			texts(postEvent, []string{"denial"})
		}
	case len(f.Events) > 0 && len(without(f.Events, "request", "started", "exit")) == len(f.Events):
		texts(postEvent, f.Events)
	case len(f.Agents) > 0:
		ids(postAgent, f.Agents)
	case len(f.Machines) > 0:
		ids(postMachine, f.Machines)
	case f.OnlyRemoved:
		list = append(list, posting{kind: postRemoved})
	default:
		return nil, false, nil
	}
	if errors.Is(err, errTooMany) || len(list) > maxValues {
		return nil, false, nil
	}
	return list, err == nil, err
}

func without(list []string, words ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(words, s) })
}
