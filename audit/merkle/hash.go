package merkle

import (
	"crypto/sha256"
	"hash"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 hash of the Merkle tree of RFC 6962, section 2.1.
type Hash = tlog.Hash

// The bytes that tell the hash of a leaf from that of a node: RFC 6962, section 2.1.
const (
	leafPrefix = 0
	nodePrefix = 1
)

// LeafHash is the hash of a record: its line without the newline.
func LeafHash(line []byte) Hash { return tlog.RecordHash(line) }

// LeafHasher makes leaf hashes without garbage. The zero value is ready. It is
// used by one goroutine.
type LeafHasher struct {
	h   hash.Hash
	sum [sha256.Size]byte
}

// Hash is LeafHash.
func (l *LeafHasher) Hash(line []byte) Hash {
	if l.h == nil {
		l.h = sha256.New()
	}
	l.h.Reset()
	l.sum[0] = leafPrefix
	l.h.Write(l.sum[:1])
	l.h.Write(line)
	l.h.Sum(l.sum[:0])
	return l.sum
}

// LeafHashInPlace is LeafHash of buf[start:end] without a copy: the byte before
// start stands in for the prefix meanwhile. The caller alone uses buf, and start
// is not 0.
func LeafHashInPlace(buf []byte, start, end int) Hash {
	before := buf[start-1]
	buf[start-1] = leafPrefix
	h := sha256.Sum256(buf[start-1 : end])
	buf[start-1] = before
	return h
}

// nodeHash is tlog.NodeHash without its garbage.
func nodeHash(left, right Hash) Hash {
	var buf [1 + 2*sha256.Size]byte
	buf[0] = nodePrefix
	copy(buf[1:], left[:])
	copy(buf[1+sha256.Size:], right[:])
	return sha256.Sum256(buf[:])
}
