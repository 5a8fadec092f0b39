package rows

import (
	"errors"

	badger "github.com/dgraph-io/badger"
)

var errReadOnly = errors.New("this transaction is for reading: put through a Step")

// Tx reads one state of the store: a crdt.Store to which nothing can be put. A Tx
// is used by one goroutine.
type Tx struct {
	store *Store
	txn   *badger.Txn
	it    *badger.Iterator // used for one scan after the other: to make one costs much more than to seek
}

// View calls f with the present state, which lasts until f returns.
func (s *Store) View(f func(*Tx) error) error {
	return s.ds.DB.View(func(txn *badger.Txn) error {
		t := &Tx{store: s, txn: txn}
		defer t.close()
		return f(t)
	})
}

// Store is where the transaction reads.
func (t *Tx) Store() *Store { return t.store }

// close frees the iterator. It comes before the transaction ends.
func (t *Tx) close() {
	if t.it != nil {
		t.it.Close()
		t.it = nil
	}
}

// scan calls f for each row whose key has the prefix, in order, until f returns
// false or an error. key and value are valid during the call, in which no other
// scan may begin.
func (t *Tx) scan(prefix []byte, f func(key, value []byte) (bool, error)) error {
	if t.it == nil {
		t.it = t.txn.NewIterator(badger.IteratorOptions{})
	}
	return scan(t.it, prefix, f)
}

// scanApart is scan with an iterator of its own: f may scan.
func (t *Tx) scanApart(prefix []byte, f func(key, value []byte) error) error {
	it := t.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	return scan(it, prefix, func(key, value []byte) (bool, error) { return true, f(key, value) })
}

func scan(it *badger.Iterator, prefix []byte, f func(key, value []byte) (bool, error)) error {
	more := true
	for it.Seek(prefix); more && it.ValidForPrefix(prefix); it.Next() {
		item := it.Item()
		err := item.Value(func(v []byte) (err error) {
			more, err = f(item.Key(), v)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// get calls f with the value of a row, and says whether there is one.
func (t *Tx) get(key []byte, f func(value []byte) error) (bool, error) {
	item, err := t.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, item.Value(f)
}

// Count is how many rows of each kind there are, by the first byte of their keys.
func (t *Tx) Count() (map[byte]int, error) {
	n := make(map[byte]int)
	return n, t.scan(nil, func(key, _ []byte) (bool, error) {
		n[key[0]]++
		return true, nil
	})
}
