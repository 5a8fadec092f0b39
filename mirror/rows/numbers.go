package rows

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	badger "github.com/dgraph-io/badger"

	"auditmesh/crdt"
)

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

// newKeys are the logs and nodes that a step met first. Their numbers count only
// once it is committed.
type newKeys struct {
	logs  []crdt.Log
	nodes []string
}

// number is a key's number, given out in this step if it is new; then put keeps it.
func number[K comparable](s *Store, n *numbers[K], met *[]K, k K, put func(uint32) error) (uint32, error) {
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

func (s *Store) giveLogNumber(txn *badger.Txn, l crdt.Log, met *newKeys) (LogNumber, error) {
	n, err := number(s, &s.logs, &met.logs, l, func(n uint32) error {
		return txn.Set(keyOf(kindLog, l.Node, "/", string(l.ID[:])), bytesOf(n))
	})
	return LogNumber(n), err
}

func (s *Store) giveNodeNumber(txn *badger.Txn, node string, met *newKeys) (NodeNumber, error) {
	n, err := number(s, &s.nodes, &met.nodes, node, func(n uint32) error {
		return txn.Set(keyOf(kindNode, node), bytesOf(n))
	})
	return NodeNumber(n), err
}

// Log is the log that has a number.
func (s *Store) Log(n LogNumber) crdt.Log {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.logs.keys[n]
}

// knownLog is Log where the number may be one of a step that was not committed.
func (s *Store) knownLog(n LogNumber) (crdt.Log, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if int(n) >= len(s.logs.keys) {
		return crdt.Log{}, false
	}
	return s.logs.keys[n], true
}

// Logs are all logs that the view has met.
func (s *Store) Logs() []crdt.Log {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.logs.keys)
}

// NodeID is the node that has a number.
func (s *Store) NodeID(n NodeNumber) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.nodes.keys[n]
}

// nodeOfLog is the number of a log's node.
func (s *Store) nodeOfLog(n LogNumber) NodeNumber {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return NodeNumber(s.nodes.of[s.logs.keys[n].Node])
}

func (s *Store) findLog(l crdt.Log) (LogNumber, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok := s.logs.of[l]
	return LogNumber(n), ok
}

// FindNode is the number of a node, false if the view does not know it.
func (s *Store) FindNode(node string) (NodeNumber, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok := s.nodes.of[node]
	return NodeNumber(n), ok
}

// Node is a node with its number.
type Node struct {
	ID     string
	Number NodeNumber
}

// Nodes are the nodes that the view knows, in the order of their ids.
func (s *Store) Nodes() []Node {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]Node, len(s.nodes.keys))
	for i, id := range s.nodes.keys {
		list[i] = Node{id, NodeNumber(i)}
	}
	slices.SortFunc(list, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// loadNumbers reads the numbers that were given out.
func (s *Store) loadNumbers(t *Tx) error {
	logs := map[LogNumber]crdt.Log{}
	err := t.scan([]byte{kindLog}, func(key, value []byte) (bool, error) {
		if len(key) < 1+logIDLen+1 || len(value) != 4 {
			return false, errors.New("a row of a log's number is damaged")
		}
		cut := len(key) - logIDLen - 1
		logs[LogNumber(uint32Of(value))] = crdt.Log{Node: string(key[1:cut]), ID: [logIDLen]byte(key[cut+1:])}
		return true, nil
	})
	if err != nil {
		return err
	}
	nodes := map[NodeNumber]string{}
	err = t.scan([]byte{kindNode}, func(key, value []byte) (bool, error) {
		if len(value) != 4 {
			return false, errors.New("a row of a node's number is damaged")
		}
		nodes[NodeNumber(uint32Of(value))] = string(key[1:])
		return true, nil
	})
	if err != nil {
		return err
	}
	for n := range LogNumber(len(logs)) {
		l, ok := logs[n]
		if !ok {
			return fmt.Errorf("the view lacks log number %d", n)
		}
		s.logs.add(l)
	}
	for n := range NodeNumber(len(nodes)) {
		node, ok := nodes[n]
		if !ok {
			return fmt.Errorf("the view lacks node number %d", n)
		}
		s.nodes.add(node)
	}
	return nil
}
