package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	badger "github.com/dgraph-io/badger"
	"github.com/dgraph-io/badger/options"
	dsbadger "github.com/ipfs/go-ds-badger"
	"go.uber.org/zap"

	"auditmesh/audit/holdings"
	"auditmesh/crdt"
)

// store is the database of the view: rows as in rows.go, and the numbers that
// logs and nodes have in it.
type store struct {
	ds *dsbadger.Datastore

	mu    sync.RWMutex
	logs  numbers[crdt.Log] // guarded by mu
	nodes numbers[string]   // guarded by mu

	begins *beginnings // of the fold

	writing *atomic.Int64 // the mirror's
	broken  atomic.Bool   // a write failed: it is only read from then on
}

var errSchema = errors.New("the view has another schema")

// openStore opens the database in dir, or makes a new one. A damaged one, or one
// of another schema, is derived data: it is deleted, and false says so.
func openStore(dir string, logger *zap.Logger) (s *store, whole bool, err error) {
	s, err = tryOpen(dir)
	if err == nil {
		return s, true, nil
	}
	if strings.Contains(err.Error(), "Cannot acquire directory lock") { // Badger has no error value for it
		return nil, false, fmt.Errorf("the view is in use by another process: %w", err)
	}
	if ofMachine(err) {
		return nil, false, err // it may be whole: not thrown away
	}
	logger.Warn("the view's database cannot be used; it is derived, and is rebuilt from the files", zap.Error(err))
	if err := emptyDir(dir); err != nil {
		return nil, false, err
	}
	s, err = tryOpen(dir)
	return s, false, err
}

// ofMachine says whether an error tells of the machine and not of the database.
// Badger hides most in text.
func ofMachine(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO,
	} {
		if errors.Is(err, e) || strings.Contains(err.Error(), e.Error()) {
			return true
		}
	}
	return false
}

// storeOptions are for a store that can be rebuilt: nothing is synced, and
// values of usual lines live in the tree, where compaction collects them. Badger
// holds all tables of a compaction in memory until its end, and writes them
// synced, so a compaction must be small: small tables, a small first level, and
// levels of few times the one above. Each compactor does one a second, however
// small: with too few they fall behind, levels outgrow their size, and compactions
// grow with them (docs/benchmarks.md).
func storeOptions() *dsbadger.Options {
	o := dsbadger.DefaultOptions
	o.SyncWrites = false
	o.TableLoadingMode = options.FileIO
	o.ValueLogLoadingMode = options.FileIO
	o.ValueThreshold = 1024
	o.ValueLogFileSize = 64 << 20
	o.MaxTableSize = 4 << 20
	o.LevelOneSize = 16 << 20
	o.LevelSizeMultiplier = 4
	o.NumMemtables = 2
	o.NumLevelZeroTables = 2
	o.NumLevelZeroTablesStall = 4
	o.NumCompactors = 6
	o.Logger = nil
	return &o
}

func tryOpen(dir string) (s *store, err error) {
	defer func() {
		if r := recover(); r != nil { // Badger panics on some damaged files
			err = fmt.Errorf("open the view in %s: %v", dir, r)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ds, err := dsbadger.NewDatastore(dir, storeOptions())
	if err != nil {
		return nil, fmt.Errorf("open the view in %s: %w", dir, err)
	}
	s = &store{ds: ds, logs: newNumbers[crdt.Log](), nodes: newNumbers[string](), begins: newBeginnings()}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, ds.Close())
	}
	return s, nil
}

func (s *store) close() error { return s.ds.Close() }

// load checks the schema and reads the numbers.
func (s *store) load() error {
	return s.ds.DB.Update(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte{rowSchema})
		if errors.Is(err, badger.ErrKeyNotFound) {
			it := txn.NewIterator(badger.IteratorOptions{})
			defer it.Close()
			if it.Rewind(); it.Valid() {
				return errSchema
			}
			return txn.Set([]byte{rowSchema}, []byte(schemaVersion))
		}
		if err != nil {
			return err
		}
		version, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}
		if string(version) != schemaVersion {
			return errSchema
		}
		return s.loadNumbers(txn)
	})
}

func (s *store) loadNumbers(txn *badger.Txn) error {
	logs := map[logNumber]crdt.Log{}
	err := scan(txn, []byte{rowLog}, func(key, value []byte) error {
		const idLen = 32
		if len(key) < 1+idLen+1 || len(value) != 4 {
			return errors.New("a row of a log's number is damaged")
		}
		cut := len(key) - idLen - 1
		logs[logNumber(uint32Of(value))] = crdt.Log{Node: string(key[1:cut]), ID: [idLen]byte(key[cut+1:])}
		return nil
	})
	if err != nil {
		return err
	}
	nodes := map[nodeNumber]string{}
	err = scan(txn, []byte{rowNode}, func(key, value []byte) error {
		if len(value) != 4 {
			return errors.New("a row of a node's number is damaged")
		}
		nodes[nodeNumber(uint32Of(value))] = string(key[1:])
		return nil
	})
	if err != nil {
		return err
	}
	for n := range logNumber(len(logs)) {
		l, ok := logs[n]
		if !ok {
			return fmt.Errorf("the view lacks log number %d", n)
		}
		s.logs.add(l)
	}
	for n := range nodeNumber(len(nodes)) {
		node, ok := nodes[n]
		if !ok {
			return fmt.Errorf("the view lacks node number %d", n)
		}
		s.nodes.add(node)
	}
	return nil
}

// scan calls f for each row whose key has the prefix, in order. key and value
// are valid during the call.
func scan(txn *badger.Txn, prefix []byte, f func(key, value []byte) error) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		item := it.Item()
		if err := item.Value(func(v []byte) error { return f(item.Key(), v) }); err != nil {
			return err
		}
	}
	return nil
}

// numbers gives small numbers to keys, in the order in which they are met.
type numbers[K comparable] struct {
	keys []K
	of   map[K]uint32
}

func newNumbers[K comparable]() numbers[K] { return numbers[K]{of: make(map[K]uint32)} }

func (n *numbers[K]) add(k K) {
	n.of[k] = uint32(len(n.keys))
	n.keys = append(n.keys, k)
}

// cut takes back the numbers from size on.
func (n *numbers[K]) cut(size int) {
	for _, k := range n.keys[size:] {
		delete(n.of, k)
	}
	n.keys = n.keys[:size]
}

// holds says whether a row is there with that value.
func (s *store) holds(txn *badger.Txn, key, value []byte) bool {
	item, err := txn.Get(key)
	if err != nil {
		return false
	}
	raw, err := item.ValueCopy(nil)
	return err == nil && bytes.Equal(raw, value)
}

// fresh are the keys that a step of the fold met first. Their numbers count only
// once it is committed.
type fresh struct {
	logs  []crdt.Log
	nodes []string
}

// number is a key's number, given out in this step if it is new; then put keeps it.
func number[K comparable](s *store, n *numbers[K], met *[]K, k K, put func(uint32) error) (uint32, error) {
	s.mu.RLock()
	num, ok := n.of[k]
	next := uint32(len(n.keys))
	s.mu.RUnlock()
	if ok {
		return num, nil
	}
	if i := slices.Index(*met, k); i >= 0 {
		return next + uint32(i), nil
	}
	num = next + uint32(len(*met))
	*met = append(*met, k)
	return num, put(num)
}

func (s *store) logNumber(txn *badger.Txn, l crdt.Log, met *fresh) (logNumber, error) {
	n, err := number(s, &s.logs, &met.logs, l, func(n uint32) error {
		return txn.Set(keyOf(rowLog, l.Node, "/", string(l.ID[:])), bytesOf(n))
	})
	return logNumber(n), err
}

func (s *store) nodeNumber(txn *badger.Txn, node string, met *fresh) (nodeNumber, error) {
	n, err := number(s, &s.nodes, &met.nodes, node, func(n uint32) error {
		return txn.Set(keyOf(rowNode, node), bytesOf(n))
	})
	return nodeNumber(n), err
}

// commit commits a step with the numbers that it gave out. Who sees the step's
// rows must find the numbers in them, so they come first, and go again if the
// commit fails: until then no row has them. The lock is not held over the commit,
// which waits for the disk. It is called by one writer at a time.
func (s *store) commit(txn *badger.Txn, met fresh) error {
	s.mu.Lock()
	logs, nodes := len(s.logs.keys), len(s.nodes.keys)
	for _, l := range met.logs {
		s.logs.add(l)
	}
	for _, n := range met.nodes {
		s.nodes.add(n)
	}
	s.mu.Unlock()
	err := s.write(txn.Commit)
	if err != nil {
		s.mu.Lock()
		s.logs.cut(logs)
		s.nodes.cut(nodes)
		s.mu.Unlock()
	}
	return err
}

// putAll puts rows, or takes them out, in as many transactions as that takes.
func (s *store) putAll(rows map[string][]byte, out bool) error {
	batch := s.ds.DB.NewWriteBatch()
	defer batch.Cancel()
	for key, value := range rows {
		var err error
		if out {
			err = batch.Delete([]byte(key))
		} else {
			err = batch.Set([]byte(key), value)
		}
		if err != nil {
			return err
		}
	}
	return s.write(batch.Flush)
}

// write runs a write, so that others can tell how long it takes and that it failed.
func (s *store) write(commit func() error) error {
	if s.writing != nil {
		s.writing.Store(time.Now().UnixNano())
		defer s.writing.Store(0)
	}
	err := commit()
	if err != nil && !errors.Is(err, badger.ErrTxnTooBig) && !errors.Is(err, badger.ErrConflict) {
		s.broken.Store(true)
	}
	return err
}

func (s *store) logByNumber(n logNumber) crdt.Log {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.logs.keys[n]
}

func (s *store) nodeByNumber(n nodeNumber) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.nodes.keys[n]
}

// nodeOfLog is the number of a log's node.
func (s *store) nodeOfLog(n logNumber) nodeNumber {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return nodeNumber(s.nodes.of[s.logs.keys[n].Node])
}

func (s *store) findLog(l crdt.Log) (logNumber, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok := s.logs.of[l]
	return logNumber(n), ok
}

func (s *store) findNode(node string) (nodeNumber, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok := s.nodes.of[node]
	return nodeNumber(n), ok
}

// numberedNode is a node with its number.
type numberedNode struct {
	id  string
	num nodeNumber
}

// allNodes are the nodes that the view knows, in the order of their ids.
func (s *store) allNodes() []numberedNode {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]numberedNode, len(s.nodes.keys))
	for i, id := range s.nodes.keys {
		list[i] = numberedNode{id, nodeNumber(i)}
	}
	slices.SortFunc(list, func(a, b numberedNode) int { return strings.Compare(a.id, b.id) })
	return list
}

// cursorOf is which records of a log are folded in a transaction's view.
func (s *store) cursorOf(txn *badger.Txn, log holdings.Log) (c cursor, err error) {
	begin := beginOf(log)
	n, ok := s.findLog(logOf(holdings.NameOf(log)))
	if !ok {
		return begin, nil
	}
	item, err := txn.Get(keyOf(rowCursor, n))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return begin, nil
	}
	if err != nil {
		return c, err
	}
	raw, err := item.ValueCopy(nil)
	if err != nil {
		return c, err
	}
	return parseCursor(raw)
}
