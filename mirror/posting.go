package mirror

import (
	"errors"
	"slices"

	"auditmesh/crdt"
	"auditmesh/mirror/rows"
)

// Postings find the tasks of sparse filters. One is put for what a record alone
// says, so the fold reads nothing for it, and taken out by retention like every
// row. It stands at the record's bound: the greatest time of its log so far. A
// task's place is at this record or at an earlier one of the log, so the bound is
// never before the time of the place; postingScan rests on that. Whether the task
// fits is seen when it is read.

// postings are those of an operation on a task.
func postings(op crdt.Op) []rows.Posting {
	switch b := op.Body.(type) {
	case crdt.Request:
		return []rows.Posting{rows.IDPosting(rows.PostAgent, b.Agent), rows.IDPosting(rows.PostMachine, b.Machine)}
	case crdt.Denial:
		return []rows.Posting{
			rows.IDPosting(rows.PostAgent, b.Agent), rows.IDPosting(rows.PostMachine, b.Machine),
			rows.TextPosting(rows.PostReason, b.Reason), rows.TextPosting(rows.PostEvent, "denial"),
		}
	case crdt.Warning:
		return []rows.Posting{rows.TextPosting(rows.PostEvent, "warning")}
	case crdt.Application:
		return []rows.Posting{rows.TextPosting(rows.PostEvent, b.Name)}
	case crdt.Exit:
		if b.Signal != nil || b.Code != nil && *b.Code != 0 {
			return []rows.Posting{{Kind: rows.PostFailed}}
		}
	case crdt.Removal:
		return []rows.Posting{{Kind: rows.PostRemoved}}
	}
	return nil
}

// post puts the postings of an operation.
func (f *folder) post(op crdt.Op, task rows.TaskRef, at rows.Ref, first rows.FirstRecord) error {
	for _, p := range postings(op) {
		// Else the row of the order of time names the task, and its first record.
		named := f.bound != op.Time || !crdt.IsTag(op.Body) || p.Kind == rows.PostFailed
		if err := f.step.Post(p, f.bound, at, named, task, first); err != nil {
			return err
		}
	}
	return nil
}

// maxValues is how many values of one filter are gone through side by side.
const maxValues = 16

// postingsFor are the postings at which all tasks that fit the filter are found;
// false if it asks for nothing that has any.
func (s *snapshot) postingsFor(f Filter) (list []rows.Posting, ok bool, err error) {
	texts := func(kind rows.PostingKind, values []string) {
		for _, v := range values {
			list = append(list, rows.TextPosting(kind, v))
		}
	}
	ids := func(kind rows.PostingKind, prefixes []string) {
		for _, p := range prefixes {
			if err == nil {
				list, err = s.tx.IDPostings(kind, p, list, maxValues)
			}
		}
	}
	switch {
	case len(f.Reasons) > 0:
		texts(rows.PostReason, f.Reasons)
	case len(f.States) > 0 && len(without(f.States, StateFailed, StateDenied)) == 0:
		if slices.Contains(f.States, StateFailed) {
			list = append(list, rows.Posting{Kind: rows.PostFailed})
		}
		if slices.Contains(f.States, StateDenied) {
			texts(rows.PostEvent, []string{"denial"})
		}
	case len(f.Events) > 0 && len(without(f.Events, "request", "started", "exit")) == len(f.Events):
		texts(rows.PostEvent, f.Events)
	case len(f.Agents) > 0:
		ids(rows.PostAgent, f.Agents)
	case len(f.Machines) > 0:
		ids(rows.PostMachine, f.Machines)
	case f.OnlyRemoved:
		list = append(list, rows.Posting{Kind: rows.PostRemoved})
	default:
		return nil, false, nil
	}
	if errors.Is(err, rows.ErrTooMany) || len(list) > maxValues {
		return nil, false, nil
	}
	return list, err == nil, err
}

func without(list []string, words ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(word string) bool { return slices.Contains(words, word) })
}
