package mirror

import (
	"auditmesh/mirror/rows"
)

// recentTasks remembers the first records of the tasks that the fold met last, so
// that the rows of their later records can have them as a hint, without reading.
// What it forgot costs a reader a look at the task, no more. The fold alone uses
// it, so there is no lock.
type recentTasks struct {
	of     map[rows.TaskRef]recentTask
	ring   []rows.TaskRef // in the order in which they were met
	oldest int            // in the ring
}

type recentTask struct {
	log   rows.LogNumber
	first rows.FirstRecord
}

// maxRecentTasks bounds the memory: about 17 MB.
const maxRecentTasks = 50_000

func newRecentTasks() *recentTasks { return &recentTasks{of: make(map[rows.TaskRef]recentTask)} }

// meet is what is known of the first record of a task, at a later record of it. At
// the first itself nothing is.
func (r *recentTasks) meet(task rows.TaskRef, at rows.Ref, bound uint64) rows.FirstRecord {
	known, ok := r.of[task]
	if ok && known.log == at.Log && known.first.Seq < at.Seq {
		return known.first
	}
	if !ok {
		if len(r.ring) < maxRecentTasks {
			r.ring = append(r.ring, task)
		} else {
			delete(r.of, r.ring[r.oldest])
			r.ring[r.oldest] = task
			r.oldest = (r.oldest + 1) % maxRecentTasks
		}
	}
	r.of[task] = recentTask{at.Log, rows.FirstRecord{Known: true, Seq: at.Seq, Bound: bound}}
	return rows.FirstRecord{}
}
