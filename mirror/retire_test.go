package mirror

import (
	"maps"
	"testing"
	"time"

	"auditmesh/audit/holdings"
	"auditmesh/audit/segment"
	"auditmesh/mirror/rows"
)

// rows counts the rows of each kind.
func (r *replica) rows(t *testing.T) map[byte]int {
	t.Helper()
	var n map[byte]int
	err := r.m.store.View(func(tx *rows.Tx) (err error) {
		n, err = tx.Count()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Step by step retention takes the records of both an own log and a copy out of
// the view: it is the fold of what is left, to the last row, and goes on.
func TestRetire(t *testing.T) {
	reps := population(t, 600)
	r := reps[0]
	if err := r.log.Sign(); err != nil {
		t.Fatal(err)
	}
	retired := 0
	for keep := 12; keep > 0; keep -= 2 {
		for _, log := range r.h.Logs() {
			first, err := log.Retirable(segment.Retention{Segments: keep}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if first > log.First() {
				retired++
			}
			if err := r.m.Retire(t.Context(), holdings.NameOf(log), first); err != nil || log.First() != first {
				t.Fatalf("first is %d, want %d: %v", log.First(), first, err)
			}
			r.append(t, request(byte(keep), 2000, "later"))
			r.fold(t)
		}
		_, view, tasks := r.deep(t)
		if want := r.reference(t); view != want {
			t.Fatalf("%d segments kept: view %s, the reference gives %s", keep, view, want)
		}
		had, status := r.rows(t), mustStatus(t, r)
		if err := r.m.rebuild(); err != nil {
			t.Fatal(err)
		}
		r.fold(t)
		if now := r.rows(t); !maps.Equal(had, now) {
			t.Fatalf("%d segments kept: rows %v, after a rebuild %v", keep, had, now)
		}
		if again := mustStatus(t, r); again.Holdings != status.Holdings || again.Logs[0].Unreadable != status.Logs[0].Unreadable {
			t.Errorf("status %+v, after a rebuild %+v", status, again)
		}
		if _, _, n := r.deep(t); n != tasks || n == 0 {
			t.Errorf("%d tasks, after a rebuild %d", tasks, n)
		}
	}
	if retired < 4 {
		t.Errorf("retired %d times: there is too little", retired)
	}
}

// A crash between the view and the files is found, and mended from the files.
func TestRetireCrash(t *testing.T) {
	r := population(t, 600)[0]
	if err := r.log.Sign(); err != nil {
		t.Fatal(err)
	}
	_, want, _ := r.deep(t)
	first, err := r.log.Retirable(segment.Retention{Segments: 2}, time.Now())
	if err != nil || first == 0 {
		t.Fatal(first, err)
	}
	for range 2 {
		if _, err := r.m.undoStep(r.log, first); err != nil {
			t.Fatal(err)
		}
	}
	r.reopen(t)
	if err := r.m.foldAll(t.Context()); err == nil {
		t.Fatal("a view that lacks what is held was gone on with")
	}
	if err := r.m.rebuild(); err != nil {
		t.Fatal(err)
	}
	r.fold(t)
	if _, got, _ := r.deep(t); got != want {
		t.Errorf("view %s, want %s", got, want)
	}
}

func mustStatus(t *testing.T, r *replica) Status {
	t.Helper()
	st, err := r.m.Status()
	if err != nil {
		t.Fatal(err)
	}
	return st
}
