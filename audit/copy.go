package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// Outcome is what became of a verified batch.
type Outcome int

// Outcomes of Extend.
const (
	// Extended: records of the batch were new, and are durable now.
	Extended Outcome = iota
	// Known: all its records are held already.
	Known
	// Hole: records before the batch are missing; nothing was stored.
	Hole
	// Conflict: the log's node signed another past than the one held here.
	// Nothing was stored; the batch and the checkpoint held are evidence.
	Conflict
)

func (o Outcome) String() string {
	return [...]string{"extended", "known", "hole", "conflict"}[o]
}

// Copy is another node's log, held here: the same files as an own log, extended
// by verified batches only and never signed.
type Copy struct {
	store
	seq   *segment.Sequence
	kept  *segment.Checkpoints
	name  merkle.LogName
	fsys  disk.FS
	files segment.Layout
	seal  int64 // bytes at which a segment is sealed

	mu     sync.Mutex // held while extending
	closed bool       // guarded by mu
}

// copyFileName is the name of a copy's files, as "audit" is for audit.jsonl.
const copyFileName = "audit"

// CopyDir is where the copy of a log stands beneath a node's directory of copies.
func CopyDir(root string, name merkle.LogName) string {
	return filepath.Join(root, name.Peer, name.IDString())
}

// OpenCopy opens the copy of a log in dir, or a new one, whose segments are
// sealed at segmentBytes (0: 128 MiB). Lines beyond the last checkpoint kept with
// it were never said to be held; they are cut. Other damage is a *DamageError,
// and changes nothing.
func OpenCopy(fsys disk.FS, dir string, name merkle.LogName, segmentBytes int64) (*Copy, error) {
	c := &Copy{name: name, fsys: fsys, files: segment.Layout{Dir: dir, Name: copyFileName}, seal: cmp.Or(segmentBytes, segment.DefaultSegmentBytes)}
	if err := disk.MkdirAll(fsys, dir, 0o700); err != nil {
		return nil, err
	}
	if err := disk.RemoveTemps(fsys, dir, c.files.Owns); err != nil {
		return nil, err
	}
	kept, err := segment.LoadCheckpoints(fsys, c.files.Checkpoints())
	if err != nil {
		return nil, err
	}
	segs, err := segment.List(fsys, c.files)
	if err != nil {
		return nil, err
	}
	last, _ := kept.Last()
	if segs, err = c.unclaimed(segs, last.Size); err != nil {
		return nil, err
	}
	if len(segs) == 0 && last.Size > 0 {
		return nil, &segment.DamageError{File: c.files.Segment(0), Reason: "the file is gone"}
	}
	// A segment that begins at the limit was made, and not used yet.
	policy := segment.Policy{Signed: last.Size, Limit: last.Size}
	if last.Size == 0 {
		segs = nil // nothing was ever said to be held
	}
	loaded, err := segment.Load(fsys, c.files, segs, kept, policy)
	if err != nil {
		return nil, err
	}
	if last.Size > 0 && loaded.Size() > 0 && loaded.ID() != name.IDString() {
		return nil, &segment.DamageError{File: dir, Reason: "the first line is not that of log " + name.String()}
	}
	c.seq, c.kept = loaded.Sequence, kept
	c.store = segment.NewStore(name.Peer, c.seq, kept)
	loaded.WriteIndexes()
	return c, segment.FindEnds(c.seq, kept)
}

// unclaimed puts aside a first segment that is not the log's beginning, where no
// checkpoint says that anything is held: StartAt was not finished, and the next may
// begin elsewhere.
func (c *Copy) unclaimed(segs []segment.Segment, size uint64) ([]segment.Segment, error) {
	if size > 0 || len(segs) == 0 || segs[0].First == 0 {
		return segs, nil
	}
	for _, s := range segs {
		for _, path := range []string{s.Path, c.files.Head(s.First)} {
			if err := c.fsys.Rename(path, segment.Unclaimed(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return nil, c.fsys.SyncDir(c.files.Dir)
}

// Extend stores what is new of a verified batch, durable before it returns:
// the lines, then the checkpoint.
func (c *Copy) Extend(v *merkle.VerifiedBatch) (Outcome, error) {
	if v.Log != c.name {
		return Conflict, fmt.Errorf("a batch of log %s does not extend %s", v.Log, c.name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.extend(v)
}

// StartAt is Extend for a log of which nothing is held and whose beginning nobody
// who was asked has: an empty copy then begins where the batch does.
func (c *Copy) StartAt(v *merkle.VerifiedBatch) (Outcome, error) {
	if v.Log != c.name {
		return Conflict, fmt.Errorf("a batch of log %s does not begin %s", v.Log, c.name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Size() == 0 && v.First > 0 {
		at := v.FrontierAt(v.First)
		if err := createCopySegment(c.fsys, c.files, c.name, at); err != nil {
			return Hole, fmt.Errorf("begin the copy of %s: %w", c.name, err)
		}
		c.seq.StartAt(at, c.name.ID, c.files.Segment(at.Size))
	}
	return c.extend(v)
}

func (c *Copy) extend(v *merkle.VerifiedBatch) (Outcome, error) {
	size := c.Size()
	if v.First > size {
		return Hole, nil
	}
	common := min(size, v.End())
	if common < c.First() {
		return Known, nil // was, until retention removed it
	}
	ours, _, err := c.seq.FrontierAt(common)
	if err != nil {
		return Hole, err
	}
	if !ours.Equal(v.FrontierAt(common)) {
		return Conflict, nil
	}
	if v.End() <= size {
		return Known, nil
	}
	lines := v.From(size)
	if err := c.write(lines); err != nil {
		return Hole, fmt.Errorf("extend the copy of %s: %w", c.name, err)
	}
	_, bytes := c.seq.Head()
	grown := segment.BlockParts(size, c.seq.Last().Bytes, segment.WithHashes(lines, v.Leaves[size-v.First:]))
	a := segment.Kept{Size: v.Head.Size, Root: v.Head.Root, End: bytes + int64(len(lines)), Note: v.Head.Note}
	if err := c.kept.Add(func() { c.seq.Grow(grown) }, a); err != nil {
		return Hole, err
	}
	return Extended, nil
}

// Close writes the end of the index and closes it; the lines are durable already.
func (c *Copy) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.seq.FlushIndex()
}

// write writes lines at the end of the last segment and syncs them. Bytes that
// an earlier failed call left there are overwritten.
func (c *Copy) write(lines []byte) error {
	if c.Segments() == 0 || c.seq.Last().Bytes >= c.seal {
		frontier, _ := c.seq.Head()
		if err := createCopySegment(c.fsys, c.files, c.name, frontier); err != nil {
			return err
		}
		c.seq.Seal(c.files.Segment(frontier.Size))
	}
	last := c.seq.Last()
	f, err := c.fsys.OpenFile(last.Path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() < last.Bytes {
		err = &segment.DamageError{File: last.Path, Offset: info.Size(), Reason: "the file became shorter"}
	}
	if err == nil && info.Size() > last.Bytes {
		err = f.Truncate(last.Bytes)
	}
	if err == nil {
		_, err = f.Write(lines)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// createCopySegment makes the next segment of a copy. What a crash left of an
// earlier try was never said to be held.
func createCopySegment(fsys disk.FS, f segment.Layout, name merkle.LogName, at merkle.Frontier) error {
	path := f.Segment(at.Size)
	if there, err := disk.Exists(fsys, path); err != nil {
		return err
	} else if there {
		if err := disk.Cut(fsys, path, 0); err != nil {
			return err
		}
	}
	head := segment.Head{Peer: name.Peer, First: at.Size, Frontier: at.Hashes}
	if at.Size > 0 {
		head.Log = name.IDString()
	} else {
		head.Frontier = []merkle.Hash{}
	}
	_, err := segment.Create(fsys, f, head)
	return err
}
