package mirror

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	badger "github.com/dgraph-io/badger"

	"auditmesh/audit"
	"auditmesh/crdt"
)

// One step of the fold is one transaction; these keep it within Badger's limit
// for one (15% of an 8-MiB table, and 2 to 4 rows a record).
const (
	stepRecords = 2000
	stepBytes   = 512 << 10
)

// errContradiction means that the view is not a fold of the files.
var errContradiction = errors.New("the view does not fit the files")

// foldAll folds all logs up to what is durable, a step of each in turn, so that
// neither a long log nor one that cannot be folded keeps the others waiting.
func (m *Mirror) foldAll(ctx context.Context) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	readers := make(map[audit.LogName]*audit.Reader)
	defer func() {
		for _, r := range readers {
			r.Close()
		}
	}()
	failed := make(map[audit.LogName]error)
	for more := true; more; {
		more = false
		for _, log := range m.holdings.Logs() {
			if err := ctx.Err(); err != nil {
				return err
			}
			name := nameOf(log)
			if failed[name] != nil {
				continue
			}
			advanced, err := m.step(log, readers)
			if err != nil {
				failed[name] = fmt.Errorf("fold log %s: %w", name, err)
			}
			if advanced {
				more = true
				m.changed.Notify()
			}
		}
	}
	return errors.Join(slices.Collect(maps.Values(failed))...)
}

// step folds the next records of one log: rows and cursor in one transaction. A
// step that is too much for one is made of fewer records.
func (m *Mirror) step(log Held, readers map[audit.LogName]*audit.Reader) (bool, error) {
	for records := stepRecords; ; records /= 2 {
		advanced, err := m.stepOf(records, log, readers)
		if !errors.Is(err, badger.ErrTxnTooBig) || records == 1 {
			return advanced, err
		}
	}
}

func (m *Mirror) stepOf(records int, log Held, readers map[audit.LogName]*audit.Reader) (bool, error) {
	name := nameOf(log)
	txn := m.store.ds.DB.NewTransaction(true)
	defer txn.Discard()
	cur, err := m.store.cursorOf(txn, name)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errContradiction, err)
	}
	size := log.Size()
	if cur.Size > size {
		return false, fmt.Errorf("%w: %d records are folded, %d are held", errContradiction, cur.Size, size)
	}
	if cur.Size == size {
		return false, nil
	}
	r := readers[name]
	if r == nil || r.Seq() != cur.Size {
		if r != nil {
			r.Close()
		}
		r = log.Reader(cur.Size)
		readers[name] = r
	}
	f := folder{s: m.store, txn: txn, log: logOf(name), cur: cur}
	if err := f.run(r, records); err != nil {
		return false, err
	}
	return true, m.store.commit(txn, f.met)
}

// folder is one step.
type folder struct {
	s   *store
	txn *badger.Txn
	log crdt.Log
	num logNumber
	cur cursor
	met fresh
}

func (f *folder) run(r *audit.Reader, records int) (err error) {
	if f.num, err = f.s.logNumber(f.txn, f.log, &f.met); err != nil {
		return err
	}
	for n, bytes := 0, 0; n < records && bytes < stepBytes; n++ {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		bytes += len(rec.Line)
		if err := f.record(rec); err != nil {
			return err
		}
	}
	return f.txn.Set(keyOf(rowCursor, f.num), f.cur.encode())
}

func (f *folder) record(rec audit.Record) error {
	at := ref{f.num, rec.Seq}
	f.cur.Size = rec.Seq + 1
	e, err := audit.Decode(rec.Line)
	if err != nil {
		f.cur.Unreadable++
		return f.txn.Set(keyOf(rowTime, f.cur.LastTime, at), []byte{recordPlain})
	}
	f.cur.LastTime = e.Time()
	kind := []byte{recordPlain}
	op, ok := operation(f.log, rec.Seq, e)
	if _, unknown := e.(*audit.Unknown); unknown {
		f.cur.Unknown++
	}
	if ok {
		if kind, err = f.operation(op, at, rec.Line); err != nil {
			return err
		}
	}
	return f.txn.Set(keyOf(rowTime, e.Time(), at), kind)
}

// operation puts the rows of an operation, and returns what it is in the order
// of time.
func (f *folder) operation(op crdt.Op, at ref, line []byte) ([]byte, error) {
	tag := crdt.IsTag(op.Body)
	if !tag { // the reader's line lives until its next call, the row until the commit
		line = append([]byte(nil), line...)
	}
	switch b := op.Body.(type) {
	case crdt.Succession:
		return []byte{recordPlain}, f.txn.Set(keyOf(rowSuccession, at), line)
	case crdt.Removal:
		if len(b.Ranges) > 0 {
			return []byte{recordPlain}, f.ranges(b, at, line)
		}
	}
	node, err := f.s.nodeNumber(f.txn, op.Task.Node, &f.met)
	if err != nil {
		return nil, err
	}
	task := taskRef{node, op.Task.Request}
	row, kind := byte(rowTaskOp), byte(recordOther)
	if tag {
		row, kind, line = rowTag, recordTag, encodeTag(op)
	}
	return append([]byte{kind}, keyOf(row, task)[1:]...), f.txn.Set(keyOf(row, task, at), line)
}

// ranges puts a row for each range. A line has room for ten thousand of them, so
// the line itself is kept once.
func (f *folder) ranges(b crdt.Removal, at ref, line []byte) error {
	for _, r := range b.Ranges {
		n, err := f.s.logNumber(f.txn, r.Log, &f.met)
		if err != nil {
			return err
		}
		if err := f.txn.Set(keyOf(rowRange, ref{n, r.First}, at), binary.BigEndian.AppendUint64(nil, r.End)); err != nil {
			return err
		}
	}
	return f.txn.Set(keyOf(rowRemoval, at), line)
}
