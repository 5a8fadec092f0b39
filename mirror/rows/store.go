package rows

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	badger "github.com/dgraph-io/badger"
	"github.com/dgraph-io/badger/options"
	dsbadger "github.com/ipfs/go-ds-badger"

	"auditmesh/crdt"
)

// Store is the database of the view. Any number of Txs and one Step may be open at
// a time.
type Store struct {
	ds *dsbadger.Datastore

	mu    sync.RWMutex
	logs  numbers[crdt.Log] // guarded by mu
	nodes numbers[string]   // guarded by mu

	writing *atomic.Int64 // see Open; may be nil
	broken  atomic.Bool   // a write failed
}

var errSchema = errors.New("the view has another schema")

// Open opens the database in dir, or makes a new one. A damaged one, or one of
// another schema, is derived data: it is deleted, and false says so. One that
// cannot be opened because of the machine (no space, no rights) is left as it is.
// writing, if not nil, has the time at which the write under way began, in
// nanoseconds since 1970, and 0 while there is none.
func Open(dir string, writing *atomic.Int64, logger *slog.Logger) (s *Store, whole bool, err error) {
	s, err = tryOpen(dir)
	whole = err == nil
	if err != nil {
		if strings.Contains(err.Error(), "Cannot acquire directory lock") { // Badger has no error value for it
			return nil, false, fmt.Errorf("the view is in use by another process: %w", err)
		}
		if ofMachine(err) {
			return nil, false, err // it may be whole: not thrown away
		}
		logger.Warn("the view's database cannot be used; it is derived, and is rebuilt from the files", slog.Any("error", err))
		if s, err = New(dir); err != nil {
			return nil, false, err
		}
	}
	s.writing = writing
	return s, whole, nil
}

// New makes an empty database in dir. What is there is deleted.
func New(dir string) (*Store, error) {
	if err := Remove(dir); err != nil {
		return nil, err
	}
	return tryOpen(dir)
}

// Remove deletes what is in dir, which may be a mount or a link.
func Remove(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
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

// Broken says whether a write failed. The database is only read from then on:
// Badger no longer knows where in its file it is.
func (s *Store) Broken() bool { return s.broken.Load() }

// MarkBroken says that a write failed.
func (s *Store) MarkBroken() { s.broken.Store(true) }

// write runs a write, so that others can tell how long it takes and that it failed.
func (s *Store) write(commit func() error) error {
	if s.writing != nil {
		s.writing.Store(time.Now().UnixNano())
		defer s.writing.Store(0)
	}
	err := commit()
	if err != nil && !errors.Is(err, badger.ErrTxnTooBig) && !errors.Is(err, badger.ErrConflict) {
		s.MarkBroken()
	}
	return err
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

func tryOpen(dir string) (s *Store, err error) {
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
	s = &Store{ds: ds, logs: newNumbers[crdt.Log](), nodes: newNumbers[string]()}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, ds.Close())
	}
	return s, nil
}

// Close frees the database. No Tx or Step is open then.
func (s *Store) Close() error { return s.ds.Close() }

// load checks the schema and reads the numbers.
func (s *Store) load() error {
	return s.ds.DB.Update(func(txn *badger.Txn) error {
		t := &Tx{store: s, txn: txn}
		defer t.close()
		version := ""
		ok, err := t.get([]byte{kindSchema}, func(v []byte) error {
			version = string(v)
			return nil
		})
		if err != nil {
			return err
		}
		if !ok {
			return t.putSchema()
		}
		if version != schemaVersion {
			return errSchema
		}
		return s.loadNumbers(t)
	})
}

// putSchema writes the schema into a database that is empty.
func (t *Tx) putSchema() error {
	err := t.scan(nil, func(_, _ []byte) (bool, error) { return false, errSchema })
	if err != nil {
		return err
	}
	return t.txn.Set([]byte{kindSchema}, []byte(schemaVersion))
}
