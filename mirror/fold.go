package mirror

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	badger "github.com/dgraph-io/badger"
	"go.uber.org/zap"

	"auditmesh/audit/event"
	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
	"auditmesh/crdt"
)

// One step of the fold is one transaction; these keep it within Badger's limit
// for one (15% of a 4-MiB table, and 2 to 4 rows a record).
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
	if m.store == nil {
		return &unavailableError{errClosed}
	}
	r := newRound()
	defer r.close()
	failed := make(map[merkle.LogName]error)
	for more := true; more; {
		more = false
		for _, log := range m.holdings.Logs() {
			if err := ctx.Err(); err != nil {
				return err
			}
			name := holdings.NameOf(log)
			if failed[name] != nil {
				continue
			}
			advanced, err := m.step(log, r)
			if err != nil {
				failed[name] = fmt.Errorf("fold log %s: %w", name, err)
			}
			if advanced {
				more = true
				m.changed.Notify()
			}
		}
		if err := m.progress(r, time.Now()); err != nil {
			return err
		}
	}
	if r.behind {
		m.logger.Info("the view has caught up with what is held", zap.Uint64("folded", r.records))
	}
	return errors.Join(slices.Collect(maps.Values(failed))...)
}

// step folds the next records of one log: rows and cursor in one transaction.
func (m *Mirror) step(log holdings.Log, r *round) (bool, error) {
	m.stepping.Lock()
	defer m.stepping.Unlock()
	return m.sized(func(records int) (bool, error) { return m.stepOf(records, log, r) })
}

// sized takes a step of fewer records where more are too much for one transaction.
func (m *Mirror) sized(step func(records int) (bool, error)) (bool, error) {
	for records := stepRecords; ; records /= 2 {
		advanced, err := step(records)
		if !errors.Is(err, badger.ErrTxnTooBig) || records == 1 {
			return advanced, err
		}
	}
}

func (m *Mirror) stepOf(records int, log holdings.Log, round *round) (bool, error) {
	name := holdings.NameOf(log)
	txn := m.store.ds.DB.NewTransaction(true)
	defer txn.Discard()
	cur, err := m.store.cursorOf(txn, log)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errContradiction, err)
	}
	size := log.Size()
	if cur.Size > size {
		return false, fmt.Errorf("%w: %d records are folded, %d are held", errContradiction, cur.Size, size)
	}
	if first := log.First(); cur.First != first && !m.isRetiring(name, cur.First) {
		return false, fmt.Errorf("%w: it begins at record %d of %s, what is held at %d", errContradiction, cur.First, name, first)
	}
	if cur.Size == size {
		return false, nil
	}
	r := round.readers[name]
	if r == nil || r.Seq() != cur.Size {
		if r != nil {
			r.Close()
		}
		r = log.Reader(cur.Size)
		round.readers[name] = r
	}
	f := folder{s: m.store, txn: txn, log: logOf(name), cur: cur}
	if err := f.run(r, size, records); err != nil {
		return false, err
	}
	if err := m.store.commit(txn, f.met); err != nil {
		return false, err
	}
	m.reached.set(name, f.cur, m.now())
	round.records += f.cur.Size - cur.Size
	return true, nil
}

// folder is one step.
type folder struct {
	s   *store
	txn *badger.Txn
	log crdt.Log
	num logNumber
	cur cursor
	met fresh
	// undo takes the rows of the records out again, from the cursor's First on.
	undo bool
	// bound is the greatest time of the log up to the present record.
	bound uint64
	// opened are the tasks that the step started and did not see end.
	opened map[taskRef][]byte
	// later are rows to be taken out once the step is committed.
	later []map[string][]byte
}

// set puts a row, or takes it out.
func (f *folder) set(key, value []byte) error {
	if f.undo {
		return f.txn.Delete(key)
	}
	return f.txn.Set(key, value)
}

// run takes at most so many records before the record at end.
func (f *folder) run(r *segment.Reader, end uint64, records int) (err error) {
	f.opened = make(map[taskRef][]byte)
	if f.num, err = f.s.logNumber(f.txn, f.log, &f.met); err != nil {
		return err
	}
	for n, bytes := 0, 0; n < records && bytes < stepBytes && r.Seq() < end; n++ {
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
	if err := f.putOpened(); err != nil {
		return err
	}
	return f.txn.Set(keyOf(rowCursor, f.num), f.cur.encode())
}

func (f *folder) record(rec segment.Record) error {
	at := ref{f.num, rec.Seq}
	e, err := event.Decode(rec.Line)
	time, bound := f.cur.advance(rec.Seq, e, f.undo)
	f.bound = bound
	if err != nil {
		return f.set(keyOf(rowTime, time, at), []byte{recordPlain})
	}
	kind := []byte{recordPlain}
	if op, ok := operation(f.log, rec.Seq, e); ok {
		if kind, err = f.operation(op, at, rec.Line); err != nil {
			return err
		}
	}
	return f.set(keyOf(rowTime, time, at), kind)
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
		return []byte{recordPlain}, f.set(keyOf(rowSuccession, at), line)
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
	var b begin
	if tag && !f.undo {
		b = f.s.begins.meet(task, at, f.bound)
	}
	if err := f.post(op, task, at, b); err != nil {
		return nil, err
	}
	if !tag {
		return []byte{recordPlain}, f.set(keyOf(rowTask, task, classOther, at), line)
	}
	return encodeTimeTag(task, at, op.Time, b), f.set(keyOf(rowTask, task, classTag, at), encodeTag(op))
}

const (
	// rangesRow is how many ranges one row has.
	rangesRow = 100
	// maxRangeRows is how many rows of one removal go with the step's transaction. A
	// line has room for ten thousand ranges, each of another log.
	maxRangeRows = 1000
)

// ranges puts the rows of the ranges, and the line itself once. Only with the line
// they count, so very many of them may be put before it, and go after it.
func (f *folder) ranges(b crdt.Removal, at ref, line []byte) error {
	of := make(map[crdt.Log][]byte) // first and end of each
	for _, r := range b.Ranges {
		of[r.Log] = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(of[r.Log], r.First), r.End)
	}
	rows := make(map[string][]byte)
	for log, pairs := range of {
		n := uint64(0)
		for part := range slices.Chunk(pairs, 16*rangesRow) {
			rows[string(keyOf(rowRange, string(log.ID[:]), at, n))] = part
			n++
		}
	}
	switch {
	case len(rows) <= maxRangeRows:
		for key, value := range rows {
			if err := f.set([]byte(key), value); err != nil {
				return err
			}
		}
	case f.undo:
		f.later = append(f.later, rows)
	default:
		if err := f.s.putAll(rows, false); err != nil {
			return err
		}
	}
	return f.set(keyOf(rowRemoval, at), line)
}
