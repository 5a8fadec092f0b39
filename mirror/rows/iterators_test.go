package rows

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"auditmesh/crdt"
)

// A hint comes back as it was written, whatever the clocks say.
func TestFirstRecordComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := Ref{1, rapid.Uint64().Draw(t, "seq")}
		time := rapid.Uint64().Draw(t, "time")
		want := FirstRecord{true, rapid.Uint64Range(0, at.Seq).Draw(t, "first"), rapid.Uint64().Draw(t, "bound")}
		if got := parseFirstRecord(want.append(nil, at, time), at, time); got != want {
			t.Fatalf("%+v became %+v", want, got)
		}
		if got := parseFirstRecord(FirstRecord{}.append(nil, at, time), at, time); got.Known {
			t.Fatalf("no hint became %+v", got)
		}
	})
}

type timed struct {
	time uint64
	at   Ref
}

// fill puts records of two logs, with a posting each, and returns them in order.
func fill(t *testing.T, s *Store) (list []timed, task TaskRef) {
	t.Helper()
	for id := range byte(2) {
		step, err := s.Fold(crdt.Log{Node: testNode, ID: [32]byte{id}})
		if err != nil {
			t.Fatal(err)
		}
		defer step.Discard()
		if task, err = step.Task(crdt.TaskKey{Node: testNode, Request: [16]byte{7}}); err != nil {
			t.Fatal(err)
		}
		for seq, time := range []uint64{5, 5, 0, 9, math.MaxUint64, 6} {
			at := step.Ref(uint64(seq))
			list = append(list, timed{time, at})
			hint := FirstRecord{true, 0, 5}
			err := errors.Join(step.PutTagTime(time, at, task, hint), step.Post(Posting{Kind: PostFailed}, time, at, seq%2 == 0, task, hint))
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := step.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(list, func(a, b timed) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.at.Log, b.at.Log), cmp.Compare(a.at.Seq, b.at.Seq))
	})
	return list, task
}

// Whatever an iterator seeks, in either direction, is what a look at all records
// finds.
func TestTimeIterator(t *testing.T) {
	s := newStore(t)
	all, task := fill(t, s)
	err := s.View(func(tx *Tx) error {
		for _, reverse := range []bool{false, true} {
			list := slices.Clone(all)
			if reverse {
				slices.Reverse(list)
			}
			it := tx.TimeIterator(reverse)
			check := func(what string, wanted func(timed) bool) {
				t.Helper()
				want := slices.Clone(list)
				for len(want) > 0 && !wanted(want[0]) {
					want = want[1:]
				}
				for ; len(want) > 0; want = want[1:] {
					time, at, ok := it.At()
					got, hint, tag, err := it.Tag()
					if !ok || (timed{time, at}) != want[0] || err != nil || !tag || got != task || hint != (FirstRecord{true, 0, 5}) {
						t.Fatalf("%s, reverse %v: %d %v, want %v; %v %v %v", what, reverse, time, at, want[0], got, hint, err)
					}
					it.Next()
				}
				if time, at, ok := it.At(); ok {
					t.Fatalf("%s, reverse %v: %d %v behind the last", what, reverse, time, at)
				}
			}
			if reverse {
				it.SeekLast()
				check("last", func(timed) bool { return true })
			}
			for _, time := range []uint64{0, 1, 5, 6, 7, 9, 10} {
				it.SeekTime(time)
				check("time", func(x timed) bool { return reverse && x.time < time || !reverse && x.time >= time })
				it.SeekInto(time)
				check("into", func(x timed) bool { return reverse && x.time <= time || !reverse && x.time >= time })
				it.SeekBehind(time)
				check("behind", func(x timed) bool { return reverse && x.time < time || !reverse && x.time > time })
			}
			it.SeekBehindLog(5, 0)
			check("behind a log", func(x timed) bool {
				return reverse && x.time < 5 || !reverse && (x.time > 5 || x.time == 5 && x.at.Log > 0)
			})
			it.SeekRecord(5, Ref{1, 0})
			check("a record", func(x timed) bool { return x == timed{5, Ref{1, 0}} })
			it.Close()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A posting gives its records from the greatest bound down, with the task whether
// its own row or that in the order of time names it.
func TestPostingIterator(t *testing.T) {
	s := newStore(t)
	all, task := fill(t, s)
	slices.Reverse(all)
	err := s.View(func(tx *Tx) error {
		for _, from := range []uint64{math.MaxUint64, 8, 5, 4} {
			it := tx.PostingIterator(Posting{Kind: PostFailed}, from)
			for _, want := range all {
				if want.time > from {
					continue
				}
				bound, ok := it.Bound()
				log, got, hint, err := it.Next()
				if !ok || bound != want.time || log != want.at.Log || got != task || hint != (FirstRecord{true, 0, 5}) || err != nil {
					t.Errorf("from %d: %d %v of %v with %v, want %+v; %v", from, bound, got, log, hint, want, err)
				}
			}
			if bound, ok := it.Bound(); ok {
				t.Errorf("from %d: one more at %d", from, bound)
			}
			it.Close()
			none := tx.PostingIterator(Posting{Kind: PostRemoved}, from)
			if bound, ok := none.Bound(); ok {
				t.Errorf("a posting that nothing has is at %d", bound)
			}
			none.Close()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Only the ids that are there are found, and no more than are asked for.
func TestIDPostings(t *testing.T) {
	s := newStore(t)
	step, err := s.Fold(crdt.Log{Node: testNode})
	if err != nil {
		t.Fatal(err)
	}
	defer step.Discard()
	for seq, id := range [][32]byte{{0}, {0x10}, {0x1f, 3}, {0x20}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}} {
		if err := step.Post(IDPosting(PostAgent, id), 5, step.Ref(uint64(seq)), true, TaskRef{}, FirstRecord{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := step.Commit(); err != nil {
		t.Fatal(err)
	}
	err = s.View(func(tx *Tx) error {
		for prefix, want := range map[string]int{"": 5, "0": 1, "1": 2, "1f03": 1, "2": 1, "3": 0, "f": 1, "no hex": 0, "ffffffffffffffffffff": 1} {
			if got, err := tx.IDPostings(PostAgent, prefix, nil, 5); err != nil || len(got) != want {
				t.Errorf("%q: %d postings, want %d, %v", prefix, len(got), want, err)
			}
		}
		if _, err := tx.IDPostings(PostAgent, "1", nil, 1); !errors.Is(err, ErrTooMany) {
			t.Errorf("two where one is the limit: %v", err)
		}
		if got, err := tx.IDPostings(PostMachine, "", nil, 5); err != nil || len(got) != 0 {
			t.Errorf("of another kind: %v, %v", got, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
