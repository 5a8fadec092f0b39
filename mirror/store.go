package mirror

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	badger "github.com/dgraph-io/badger"
	"github.com/dgraph-io/badger/options"
	dsbadger "github.com/ipfs/go-ds-badger"
	"go.uber.org/zap"

	"auditmesh/audit"
	"auditmesh/crdt"
)

// store is the database of the view: rows as in rows.go, and the numbers that
// logs and nodes have in it.
type store struct {
	ds *dsbadger.Datastore

	mu      sync.RWMutex
	logs    []crdt.Log             // guarded by mu, by number
	nodes   []string               // guarded by mu, by number
	logNum  map[crdt.Log]logNumber // guarded by mu
	nodeNum map[string]nodeNumber  // guarded by mu
}

var errSchema = errors.New("the view has another schema")

// openStore opens the database in dir, or makes a new one. A damaged one, or one
// of another schema, is derived data: it is deleted, and false says so.
func openStore(dir string, logger *zap.Logger) (s *store, whole bool, err error) {
	s, err = tryOpen(dir)
	if err == nil {
		return s, true, nil
	}
	logger.Warn("the view's database cannot be used; it is derived, and is rebuilt from the files", zap.Error(err))
	if err := os.RemoveAll(dir); err != nil {
		return nil, false, err
	}
	s, err = tryOpen(dir)
	return s, false, err
}

// storeOptions are for a store that can be rebuilt: nothing is synced, and
// values of usual lines live in the tree, where compaction collects them.
func storeOptions() *dsbadger.Options {
	o := dsbadger.DefaultOptions
	o.SyncWrites = false
	o.TableLoadingMode = options.FileIO
	o.ValueLogLoadingMode = options.FileIO
	o.ValueThreshold = 1024
	o.ValueLogFileSize = 64 << 20
	o.MaxTableSize = 16 << 20
	o.NumMemtables = 2
	o.NumLevelZeroTables = 2
	o.NumLevelZeroTablesStall = 4
	o.NumCompactors = 2
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
	s = &store{ds: ds, logNum: make(map[crdt.Log]logNumber), nodeNum: make(map[string]nodeNumber)}
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
		s.logs = append(s.logs, l)
		s.logNum[l] = n
	}
	for n := range nodeNumber(len(nodes)) {
		node, ok := nodes[n]
		if !ok {
			return fmt.Errorf("the view lacks node number %d", n)
		}
		s.nodes = append(s.nodes, node)
		s.nodeNum[node] = n
	}
	return nil
}

// scan calls f for each row whose key has the prefix, in order. key and value
// are valid during the call.
func scan(txn *badger.Txn, prefix []byte, f func(key, value []byte) error) error {
	it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: true, PrefetchSize: 64, Prefix: prefix})
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		item := it.Item()
		if err := item.Value(func(v []byte) error { return f(item.Key(), v) }); err != nil {
			return err
		}
	}
	return nil
}

// numbers that a step of the fold gave out; they count only once it is committed.
type newNumbers struct {
	logs  []crdt.Log
	nodes []string
}

// log is a log's number, given out in this step if it is new.
func (s *store) number(txn *badger.Txn, l crdt.Log, fresh *newNumbers) (logNumber, error) {
	s.mu.RLock()
	n, ok := s.logNum[l]
	next := logNumber(len(s.logs))
	s.mu.RUnlock()
	if ok {
		return n, nil
	}
	for i, known := range fresh.logs {
		if known == l {
			return next + logNumber(i), nil
		}
	}
	n = next + logNumber(len(fresh.logs))
	fresh.logs = append(fresh.logs, l)
	return n, txn.Set(keyOf(rowLog, l.Node, "/", string(l.ID[:])), bytesOf(uint32(n)))
}

// nodeNumber is a node's number, given out in this step if it is new.
func (s *store) nodeNumber(txn *badger.Txn, node string, fresh *newNumbers) (nodeNumber, error) {
	s.mu.RLock()
	n, ok := s.nodeNum[node]
	next := nodeNumber(len(s.nodes))
	s.mu.RUnlock()
	if ok {
		return n, nil
	}
	for i, known := range fresh.nodes {
		if known == node {
			return next + nodeNumber(i), nil
		}
	}
	n = next + nodeNumber(len(fresh.nodes))
	fresh.nodes = append(fresh.nodes, node)
	return n, txn.Set(keyOf(rowNode, node), bytesOf(uint32(n)))
}

// commit commits a step and takes over the numbers that it gave out, as one:
// who sees the step's rows must find the numbers in them.
func (s *store) commit(txn *badger.Txn, fresh newNumbers) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := txn.Commit(); err != nil {
		return err
	}
	for _, l := range fresh.logs {
		s.logNum[l] = logNumber(len(s.logs))
		s.logs = append(s.logs, l)
	}
	for _, n := range fresh.nodes {
		s.nodeNum[n] = nodeNumber(len(s.nodes))
		s.nodes = append(s.nodes, n)
	}
	return nil
}

func (s *store) logByNumber(n logNumber) crdt.Log {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.logs[n]
}

func (s *store) findLog(l crdt.Log) (logNumber, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok := s.logNum[l]
	return n, ok
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
	list := make([]numberedNode, len(s.nodes))
	for i, id := range s.nodes {
		list[i] = numberedNode{id, nodeNumber(i)}
	}
	slices.SortFunc(list, func(a, b numberedNode) int { return strings.Compare(a.id, b.id) })
	return list
}

// cursorOf is how far a log is folded in a transaction's view.
func (s *store) cursorOf(txn *badger.Txn, name audit.LogName) (cursor, error) {
	n, ok := s.findLog(logOf(name))
	if !ok {
		return cursor{}, nil
	}
	item, err := txn.Get(keyOf(rowCursor, n))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return cursor{}, nil
	}
	if err != nil {
		return cursor{}, err
	}
	raw, err := item.ValueCopy(nil)
	if err != nil {
		return cursor{}, err
	}
	return parseCursor(raw)
}
