package rows

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	badger "github.com/dgraph-io/badger"
)

// PostingKind is what the tasks of a posting have in common.
type PostingKind byte

// The kinds of postings. Their numbers are part of the schema.
const (
	PostAgent   PostingKind = 'a'
	PostMachine PostingKind = 'm'
	PostReason  PostingKind = 'r'
	PostEvent   PostingKind = 'e' // those that few tasks have
	PostFailed  PostingKind = 'f'
	PostRemoved PostingKind = 'd' // by its request id
)

// Posting is what a filter looks for: a kind, and eight bytes of the value. Its
// rows are the records that say so, in the order of their bounds.
type Posting struct {
	Kind  PostingKind
	Value [8]byte
}

// IDPosting is the posting of an agent or a machine.
func IDPosting(kind PostingKind, id [32]byte) Posting { return Posting{kind, [8]byte(id[:])} }

// TextPosting is the posting of a reason or an event.
func TextPosting(kind PostingKind, text string) Posting {
	sum := sha256.Sum256([]byte(text))
	return Posting{kind, [8]byte(sum[:])}
}

const postingPrefixLen = 10

func (p Posting) prefix() []byte { return append([]byte{kindPosting, byte(p.Kind)}, p.Value[:]...) }

// Post puts a posting of a record, or takes it out. bound is the greatest time of
// the log so far. If named, the row names the task, with the hint; else the row in
// the order of time, which stands at the bound, says both.
func (s *Step) Post(p Posting, bound uint64, at Ref, named bool, task TaskRef, first FirstRecord) error {
	var value []byte
	if named {
		value = first.append(appendParts(nil, task), at, bound)
	}
	return s.set(appendParts(p.prefix(), bound, at), value)
}

// PostingIterator goes through the records of one posting, the greatest bound
// first. It is closed before its transaction ends.
type PostingIterator struct {
	tx     *Tx
	it     *badger.Iterator
	prefix []byte
}

// PostingIterator begins at the records whose bound is at most from.
func (t *Tx) PostingIterator(p Posting, from uint64) *PostingIterator {
	it := t.txn.NewIterator(badger.IteratorOptions{Reverse: true})
	it.Seek(appendParts(p.prefix(), from, behindAllRefs))
	return &PostingIterator{t, it, p.prefix()}
}

// Bound is that of the present record, false if there is none left.
func (i *PostingIterator) Bound() (uint64, bool) {
	if !i.it.ValidForPrefix(i.prefix) {
		return 0, false
	}
	return binary.BigEndian.Uint64(i.it.Item().Key()[postingPrefixLen:]), true
}

// Next is the present record's log and task, with the hint that is there; then it
// goes on.
func (i *PostingIterator) Next() (log LogNumber, task TaskRef, first FirstRecord, err error) {
	defer i.it.Next()
	item := i.it.Item()
	key := slices.Clone(item.Key()[postingPrefixLen:]) // the bound and the ref
	bound, at := binary.BigEndian.Uint64(key), parseRef(key[8:])
	named := false
	err = item.Value(func(v []byte) error {
		if named = len(v) >= taskRefLen; named {
			task, first = parseTaskRef(v), parseFirstRecord(v[taskRefLen:], at, bound)
		}
		return nil
	})
	if err != nil || named {
		return at.Log, task, first, err
	}
	ok, err := i.tx.get(keyOf(kindTime, bound, at), func(v []byte) error {
		task, first, _ = i.tx.parseTagTime(at, bound, v)
		return nil
	})
	if err == nil && !ok {
		err = fmt.Errorf("the view lacks the row in the order of time of record %d of %s", at.Seq, NameOf(i.tx.store.Log(at.Log)))
	}
	return at.Log, task, first, err
}

// Close frees the iterator.
func (i *PostingIterator) Close() { i.it.Close() }

// ErrTooMany is returned where more was found than was to be looked for.
var ErrTooMany = errors.New("too many to look up")

// IDPostings adds to list the postings of a kind whose id begins with a prefix in
// hex: those that are there, since the rows are in their order. It returns
// ErrTooMany if the list would have more than limit.
func (t *Tx) IDPostings(kind PostingKind, prefix string, list []Posting, limit int) ([]Posting, error) {
	prefix = prefix[:min(len(prefix), 16)]
	low, err := hex.DecodeString(prefix + strings.Repeat("0", 16-len(prefix)))
	if err != nil {
		return list, nil // no id begins so
	}
	it := t.txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	for p := (Posting{kind, [8]byte(low)}); ; {
		it.Seek(p.prefix())
		if !it.ValidForPrefix([]byte{kindPosting, byte(kind)}) {
			return list, nil
		}
		p.Value = [8]byte(it.Item().Key()[2:postingPrefixLen])
		if !strings.HasPrefix(hex.EncodeToString(p.Value[:]), prefix) {
			return list, nil
		}
		if len(list) == limit {
			return list, ErrTooMany
		}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
		next := binary.BigEndian.Uint64(p.Value[:]) + 1
		if next == 0 {
			return list, nil
		}
		binary.BigEndian.PutUint64(p.Value[:], next)
	}
}
