package segment

import (
	"errors"
	"fmt"
	"math"

	"auditmesh/audit/disk"
)

// Policy says how the files of one log are read, and what is done where they are
// not as they were left. The zero value reads all lines, and takes every deviation
// for damage. The loader is the one way in which an own log is recovered, a copy
// opened, a log sealed and files verified; they differ in this alone.
type Policy struct {
	// Signed is how many records are known to be signed. Beyond them an
	// unfinished line, or the zeros that a power cut leaves, end the log; before,
	// they are damage.
	Signed uint64
	// Limit, if not 0, ends reading before that record: what is beyond was never
	// said to be held.
	Limit uint64
	// Ended, if not nil, is called when a segment was read, and says whether to go
	// on: it returns nil, or the error that ends the reading.
	Ended func(Ended) error
	// Check, if not nil, is called when all is read. Its error means that the
	// lines are not those that they should be.
	Check func(*Sequence) error
	// ReadOnly reads every line, and changes nothing, indexes included.
	ReadOnly bool
	// The rest serves who only looks, and reports.

	// BadHead, if not nil, is told what is wrong with the head of a log's first
	// segment, which the lines can do without; its error ends the reading.
	BadHead func(error) error
	// Read, if not nil, is told how many bytes were read.
	Read func(n int64)
	// Decode counts the lines that do not decode.
	Decode bool
	// Index, if not nil, compares the indexes with the lines. It wants ReadOnly.
	Index *IndexCheck
}

// Ended is a segment that was read, as far as that went.
type Ended struct {
	Segment Segment
	Next    *Segment // nil for the last one
	Offset  int64    // in the file, where reading ended
	Err     error    // why it ended there; nil at the limit, or at the file's end
	// Torn: what follows was never acknowledged, as an unclean end leaves it.
	Torn bool
}

// Loaded is a log that was read.
type Loaded struct {
	*Sequence
	Kept *Checkpoints
	// Signed is that of the policy, or how many records were adopted or are in
	// segments before the last, whichever is more; SignedEnd is where they end in
	// the last segment.
	Signed    uint64
	SignedEnd int64
	// Unreadable counts the lines that do not decode, where the policy asks.
	Unreadable uint64

	indexes []pendingIndex
}

// noLimit is the limit of a last segment, which ends where its lines do.
const noLimit = math.MaxUint64

// Load reads the segments, in order, with the checkpoints kept beside them, and
// compares the root at the size of each. Blocks that an index has, up to the last
// checkpoint, are taken from there: the root at that checkpoint tells whether they
// are right. Where that does not lead to what was signed, all is read once more
// from the lines alone.
//
// Errors are those of the policy's functions, *DamageError, *RootError for lines
// that do not lead to a signed root, and those of reading. What was read is
// returned with an error too.
func Load(fsys disk.FS, files Layout, segs []Segment, kept *Checkpoints, p Policy) (*Loaded, error) {
	ld := newLoader(fsys, files, kept, p)
	ld.useIndex = !p.ReadOnly
	err := ld.run(segs)
	if err != nil && ld.fromIndex > 0 {
		ld.abandonIndexes()
		kept.forgetEnds()
		ld = newLoader(fsys, files, kept, p)
		err = ld.run(segs)
	}
	if err != nil {
		ld.abandonIndexes()
	}
	return &ld.out, err
}

// loader reads one log. It runs before what it reads is shared.
type loader struct {
	policy   Policy
	out      Loaded
	next     int // index of the next checkpoint to compare
	useIndex bool
	// adopted is how many bytes of the first segment were taken over as they
	// were: nothing in them is a mark of a power cut.
	adopted   int64
	fromIndex uint64 // how many records' lines were not read
}

func newLoader(fsys disk.FS, files Layout, kept *Checkpoints, p Policy) *loader {
	if p.Limit == 0 {
		p.Limit = noLimit
	}
	return &loader{policy: p, out: Loaded{Sequence: NewSequence(fsys, files), Kept: kept, Signed: p.Signed}}
}

func (l *loader) run(segs []Segment) error {
	for i, s := range segs {
		end := Ended{Segment: s}
		if i+1 < len(segs) {
			end.Next = &segs[i+1]
		}
		if err := l.head(s, i == 0); err != nil {
			if i > 0 || s.First > 0 || l.policy.BadHead == nil {
				return err // without its head the lines of a later segment prove nothing
			}
			if err := l.policy.BadHead(err); err != nil {
				return err
			}
		}
		l.read(&end)
		err := end.Err
		if l.policy.Ended != nil {
			err = l.policy.Ended(end)
		}
		if err != nil {
			return damageAt(err, s, end.Offset)
		}
	}
	if err := l.complete(); err != nil {
		return err
	}
	if l.policy.Check != nil {
		return l.policy.Check(l.out.Sequence)
	}
	return nil
}

// read reads a segment, and says how that ended.
func (l *loader) read(end *Ended) {
	until := l.policy.Limit
	if end.Next != nil {
		until = min(until, end.Next.First)
	} else if until == noLimit {
		l.out.Signed = max(l.out.Signed, end.Segment.First)
	}
	l.policy.Index.opened(l.out.Sequence, end.Segment, end.Next == nil)
	end.Offset, end.Err = l.segment(end.Segment, until)
	size := l.out.Size()
	if end.Err == nil && end.Next != nil && size < until {
		end.Err = l.newRootError(DamageError{end.Segment.Path, end.Offset, fmt.Sprintf("it ends after record %d, the next segment begins with %d", size, until)}, until)
	}
	l.policy.Index.closed(end.Err == nil)
	end.Torn = end.Next == nil && size >= l.out.Signed && (errors.Is(end.Err, ErrUnfinished) || errors.Is(end.Err, errZeros))
}

// complete says whether every checkpoint was reached.
func (l *loader) complete() error {
	list := l.out.Kept.list
	if l.next == len(list) {
		return nil
	}
	last, size := list[len(list)-1].Size, l.out.Size()
	file, offset := l.out.Kept.path, int64(0)
	if n := len(l.out.segs); n > 0 {
		file, offset = l.out.segs[n-1].Path, l.out.segs[n-1].Bytes
	}
	return l.newRootError(DamageError{file, offset, fmt.Sprintf("the log ends after %d records, a checkpoint kept with it states %d", size, last)}, list[l.next].Size)
}

// damageAt says where an error is, if it does not.
func damageAt(err error, s Segment, offset int64) error {
	var damage *DamageError
	if errors.As(err, &damage) {
		return err
	}
	return &DamageError{File: s.Path, Offset: offset, Reason: err.Error()}
}

// RootError says that the lines do not lead to a signed root.
type RootError struct {
	DamageError
	From uint64 // the root of so many records still agreed
	Size uint64 // that of so many does not
}

// newRootError is of records before size, and after the last that agreed.
func (l *loader) newRootError(d DamageError, size uint64) *RootError {
	return &RootError{d, sizeBefore(l.out.Kept.list, l.next), size}
}

// Unwrap is the damage.
func (e *RootError) Unwrap() error { return &e.DamageError }
