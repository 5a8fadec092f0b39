package merkle

import (
	"bytes"
	"errors"
	"fmt"
)

// MaxRunBytes and MaxRunRecords bound the run between two kept checkpoints, so
// that every holder can serve any part of a log in batches, each of which ends at
// a checkpoint that it kept.
const (
	MaxRunBytes   = 1 << 20 // of lines, newlines included
	MaxRunRecords = 1 << 14
)

// Limits of one batch.
const (
	MaxBatchBytes   = MaxRunBytes   // of lines, newlines included
	MaxBatchRecords = MaxRunRecords // lines
)

// Batch is any run [First, b) of one log's lines with the Merkle frontier at
// First and a checkpoint of size b. It can be verified without anything else:
// the frontier and the lines must lead to the root that the log's node signed.
type Batch struct {
	Log        LogName
	First      uint64
	Frontier   []Hash
	Lines      []byte // whole lines, each with its newline
	Checkpoint []byte // signed note
}

// VerifiedBatch is a batch whose lines are those that the log's node signed.
type VerifiedBatch struct {
	*Batch
	Head   Checkpoint
	Leaves []Hash // of its lines, in order
	ends   []int  // where each line ends in Lines, its newline included
}

// End is the size of the log after the batch.
func (v *VerifiedBatch) End() uint64 { return v.Head.Size }

// Line is the line with that seq, without its newline. It panics outside the batch.
func (v *VerifiedBatch) Line(seq uint64) []byte {
	return v.Lines[v.start(seq) : v.ends[seq-v.First]-1]
}

// From are the lines from the one with that seq on, each with its newline. It
// panics outside [First, End].
func (v *VerifiedBatch) From(seq uint64) []byte { return v.Lines[v.start(seq):] }

// start is where the line with that seq begins in Lines.
func (v *VerifiedBatch) start(seq uint64) int {
	if seq == v.First {
		return 0
	}
	return v.ends[seq-v.First-1]
}

// ErrRoot is returned for lines that do not lead to the signed root.
var ErrRoot = errors.New("the batch's lines do not lead to the signed root")

// Verify checks limits, shape, signature and root, in that order: what costs
// little first.
func (b *Batch) Verify() (*VerifiedBatch, error) {
	if len(b.Lines) == 0 || len(b.Lines) > MaxBatchBytes {
		return nil, fmt.Errorf("a batch of %d bytes: it must have 1 to %d", len(b.Lines), MaxBatchBytes)
	}
	if b.Lines[len(b.Lines)-1] != '\n' {
		return nil, errors.New("the batch's last line has no newline")
	}
	count := bytes.Count(b.Lines, []byte{'\n'})
	if count > MaxBatchRecords {
		return nil, fmt.Errorf("a batch of %d records: the limit is %d", count, MaxBatchRecords)
	}
	if err := (Frontier{Size: b.First, Hashes: b.Frontier}).Check(); err != nil {
		return nil, err
	}
	head, err := ParseCheckpoint(b.Checkpoint)
	if err != nil {
		return nil, err
	}
	if head.Log != b.Log {
		return nil, fmt.Errorf("the batch names log %s, its checkpoint %s", b.Log, head.Log)
	}
	if head.Size != b.First+uint64(count) {
		return nil, fmt.Errorf("the batch ends at record %d, its checkpoint states %d", b.First+uint64(count), head.Size)
	}
	v := &VerifiedBatch{Batch: b, Head: head}
	v.hashLines(count)
	if b.First == 0 && v.Leaves[0] != b.Log.ID {
		return nil, errors.New("the log id is not the hash of the batch's first record")
	}
	if v.FrontierAt(head.Size).Root() != head.Root {
		return nil, ErrRoot
	}
	return v, nil
}

func (v *VerifiedBatch) hashLines(count int) {
	v.Leaves, v.ends = make([]Hash, 0, count), make([]int, 0, count)
	var h LeafHasher
	for start := 0; start < len(v.Lines); {
		end := start + bytes.IndexByte(v.Lines[start:], '\n') + 1
		v.Leaves = append(v.Leaves, h.Hash(v.Lines[start:end-1]))
		v.ends = append(v.ends, end)
		start = end
	}
}

// FrontierAt is the frontier at a size within [First, End].
func (v *VerifiedBatch) FrontierAt(size uint64) Frontier {
	r := Frontier{Size: v.First, Hashes: v.Frontier}.Range()
	for _, leaf := range v.Leaves[:size-v.First] {
		r.AppendLeaf(leaf)
	}
	return r.Frontier()
}
