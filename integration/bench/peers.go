package main

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"
	"github.com/tidwall/wal"
	bolt "go.etcd.io/bbolt"
	_ "modernc.org/sqlite" // registers the driver

	"auditmesh/audit/event"
)

// peer is a durable store that others build logs on.
type peer struct {
	name string
	open func(dir string) (appender, error)
}

// peers commit one record at a time, as their callers call them.
func peers() []peer {
	return []peer{
		{"tidwall/wal", func(dir string) (appender, error) { return newTidwall(dir, 1) }},
		{"hashicorp/raft-wal", func(dir string) (appender, error) { return newRaftWAL(dir, 1) }},
		{"bbolt", func(dir string) (appender, error) { return newBolt(dir, 1) }},
		{"SQLite (WAL, synchronous=FULL)", func(dir string) (appender, error) { return newSQLite(dir, 1) }},
		{"Badger v4 (SyncWrites)", func(dir string) (appender, error) { return newBadger(dir, 1) }},
	}
}

// batchingPeers commit as many records at once as their caller gives them.
func batchingPeers() []peer {
	return []peer{
		{"tidwall/wal", func(dir string) (appender, error) { return newTidwall(dir, batchSize) }},
		{"hashicorp/raft-wal", func(dir string) (appender, error) { return newRaftWAL(dir, batchSize) }},
		{"bbolt", func(dir string) (appender, error) { return newBolt(dir, batchSize) }},
		{"SQLite (WAL, synchronous=FULL)", func(dir string) (appender, error) { return newSQLite(dir, batchSize) }},
		{"Badger v4 (SyncWrites)", func(dir string) (appender, error) { return newBadger(dir, batchSize) }},
	}
}

// sharingPeers share a sync among concurrent callers by themselves.
func sharingPeers() []peer {
	return []peer{{"Badger v4 (SyncWrites)", func(dir string) (appender, error) {
		a, err := newBadger(dir, 1)
		if err == nil {
			a.(*store).shared = true
		}
		return a, err
	}}}
}

// store is what is common to them: a lock where the store wants one writer, and
// the number of the next record.
type store struct {
	mu    sync.Mutex
	next  uint64 // guarded by mu
	batch int
	// shared: many callers write at once.
	shared bool
	write  func(first uint64, lines [][]byte) error
	end    func() error
}

func (s *store) size() int { return s.batch }

func (s *store) append(n int) error {
	lines := make([][]byte, s.batch)
	for i := range lines {
		var err error
		if lines[i], err = event.Encode(nthEvent(n*s.batch + i)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	first := s.next + 1
	s.next += uint64(s.batch)
	if s.shared {
		s.mu.Unlock()
		return s.write(first, lines)
	}
	defer s.mu.Unlock()
	return s.write(first, lines)
}

func (s *store) close() error { return s.end() }

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func newTidwall(dir string, batch int) (appender, error) {
	l, err := wal.Open(dir, &wal.Options{})
	if err != nil {
		return nil, err
	}
	return &store{batch: batch, end: l.Close, write: func(first uint64, lines [][]byte) error {
		if len(lines) == 1 {
			return l.Write(first, lines[0])
		}
		var b wal.Batch
		for i, line := range lines {
			b.Write(first+uint64(i), line)
		}
		return l.WriteBatch(&b)
	}}, nil
}

func newRaftWAL(dir string, batch int) (appender, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	w, err := raftwal.Open(dir)
	if err != nil {
		return nil, err
	}
	return &store{batch: batch, end: w.Close, write: func(first uint64, lines [][]byte) error {
		logs := make([]*raft.Log, len(lines))
		for i, line := range lines {
			logs[i] = &raft.Log{Index: first + uint64(i), Data: line}
		}
		return w.StoreLogs(logs)
	}}, nil
}

func newBolt(dir string, batch int) (appender, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := bolt.Open(filepath.Join(dir, "bolt.db"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	bucket := []byte("log")
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	return &store{batch: batch, end: db.Close, write: func(first uint64, lines [][]byte) error {
		return db.Update(func(tx *bolt.Tx) error {
			for i, line := range lines {
				if err := tx.Bucket(bucket).Put(key(first+uint64(i)), line); err != nil {
					return err
				}
			}
			return nil
		})
	}}, err
}

func newSQLite(dir string, batch int) (appender, error) {
	ctx := context.Background()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "log.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, "CREATE TABLE log (seq INTEGER PRIMARY KEY, line BLOB)")
	return &store{batch: batch, end: db.Close, write: func(first uint64, lines [][]byte) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, "INSERT INTO log VALUES (?, ?)")
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		for i, line := range lines {
			if _, err := insert.ExecContext(ctx, int64(first)+int64(i), line); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		return tx.Commit()
	}}, err
}

func newBadger(dir string, batch int) (appender, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(true).WithLogger(nil))
	if err != nil {
		return nil, err
	}
	return &store{batch: batch, end: db.Close, write: func(first uint64, lines [][]byte) error {
		return db.Update(func(tx *badger.Txn) error {
			for i, line := range lines {
				if err := tx.Set(key(first+uint64(i)), line); err != nil {
					return err
				}
			}
			return nil
		})
	}}, nil
}
