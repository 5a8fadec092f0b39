package mirror

import (
	"log/slog"
	"time"

	"auditmesh/audit/holdings"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
	"auditmesh/mirror/rows"
)

// ManyUnfolded is from how many records on that are held and not in the view the
// view is behind, as after a rebuild, and does not merely keep up: the fold takes
// a quarter of a second for them.
const ManyUnfolded = 10_000

// sayEvery is how often a long round of the fold logs how far it is.
const sayEvery = 10 * time.Second

// round is the fold of all logs until nothing is new.
type round struct {
	readers map[merkle.LogName]*segment.Reader
	records uint64 // folded

	said   time.Time // when progress was looked at last
	saidAt uint64    // records then
	behind bool      // whether it was logged
}

func newRound() *round {
	return &round{readers: make(map[merkle.LogName]*segment.Reader), said: time.Now()}
}

func (r *round) close() {
	for _, reader := range r.readers {
		reader.Close()
	}
}

// readerAt is a reader of a log at a record: the one of the step before, if it
// stands there.
func (r *round) readerAt(log holdings.Log, seq uint64) *segment.Reader {
	name := holdings.NameOf(log)
	reader := r.readers[name]
	if reader == nil || reader.Seq() != seq {
		if reader != nil {
			reader.Close()
		}
		reader = log.Reader(seq)
		r.readers[name] = reader
	}
	return reader
}

// progress logs how far a round is, if it is time to and the view is behind.
func (m *Mirror) progress(r *round, now time.Time) error {
	passed := now.Sub(r.said)
	if passed < sayEvery {
		return nil
	}
	var left uint64
	err := m.store.View(func(tx *rows.Tx) (err error) {
		left, err = m.unfolded(tx)
		return err
	})
	if err != nil {
		return err
	}
	rate := float64(r.records-r.saidAt) / passed.Seconds()
	r.said, r.saidAt = now, r.records
	if left < ManyUnfolded {
		return nil
	}
	r.behind = true
	fields := []any{slog.Uint64("folded", r.records), slog.Uint64("left", left), slog.Uint64("per_second", uint64(rate))}
	if rate > 0 {
		fields = append(fields, slog.Duration("remaining", time.Duration(float64(left)/rate*float64(time.Second)).Round(100*time.Millisecond)))
	}
	m.logger.Info("the view is behind what is held, and is being folded", fields...)
	return nil
}

// unfolded counts the records that are held and not in a transaction's view.
func (m *Mirror) unfolded(tx *rows.Tx) (n uint64, err error) {
	for _, l := range m.holdings.Logs() {
		c, err := cursorOf(tx, l)
		if err != nil {
			return n, err
		}
		if size := l.Size(); size > c.Size {
			n += size - c.Size
		}
	}
	return n, nil
}
