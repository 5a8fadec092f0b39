package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"auditmesh/internal/durable"
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
	held
	name  LogName
	fsys  durable.FS
	files files
	seal  int64 // bytes at which a segment is sealed

	mu sync.Mutex // held while extending
}

// copyFileName is the name of a copy's files, as "audit" is for audit.jsonl.
const copyFileName = "audit"

// CopyDir is where the copy of a log stands beneath a node's directory of copies.
func CopyDir(root string, name LogName) string {
	return filepath.Join(root, name.Peer, name.IDString())
}

// OpenCopy opens the copy of a log in dir, or a new one, whose segments are
// sealed at segmentBytes (0: 128 MiB). Lines beyond the last checkpoint kept with
// it were never said to be held; they are cut. Other damage is a *DamageError,
// and changes nothing.
func OpenCopy(fsys durable.FS, dir string, name LogName, segmentBytes int64) (*Copy, error) {
	c := &Copy{name: name, fsys: fsys, files: files{dir: dir, name: copyFileName}, seal: cmp.Or(segmentBytes, defaultSegmentBytes)}
	c.peer = name.Peer
	c.chain = &chain{fsys: fsys, files: c.files}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	kept, err := loadAnchors(fsys, c.files.checkpoints())
	if err != nil {
		return nil, err
	}
	c.kept = kept
	segs, err := listSegments(fsys, c.files)
	if err != nil {
		return nil, err
	}
	last, _ := kept.last()
	if segs, err = c.unclaimed(segs, last.size); err != nil {
		return nil, err
	}
	ld, err := readChain(c.chain, kept, last.size, func(ld *loader) error { return c.read(ld, segs, last.size) })
	if err != nil {
		return nil, err
	}
	if last.size > 0 && c.chain.size() > 0 && c.chain.idString() != name.IDString() {
		return nil, &DamageError{File: dir, Reason: "the first line is not that of log " + name.String()}
	}
	if len(segs) == 0 && last.size > 0 {
		return nil, &DamageError{File: c.files.segment(0), Reason: "the file is gone"}
	}
	if err := ld.complete(); err != nil {
		return nil, err
	}
	ld.writeIndexes()
	return c, locateLast(c.chain, kept)
}

// unclaimed puts aside a first segment that is not the log's beginning, where no
// checkpoint says that anything is held: Begin was not finished, and the next may
// begin elsewhere.
func (c *Copy) unclaimed(segs []segment, size uint64) ([]segment, error) {
	if size > 0 || len(segs) == 0 || segs[0].first == 0 {
		return segs, nil
	}
	for _, s := range segs {
		for _, path := range []string{s.path, c.files.head(s.first)} {
			if err := c.fsys.Rename(path, path+".unclaimed"); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	return nil, c.fsys.SyncDir(c.files.dir)
}

// read loads the segments up to what was said to be held. One that begins there
// was made and not used yet.
func (c *Copy) read(ld *loader, segs []segment, size uint64) error {
	for i, s := range segs {
		if err := ld.head(s, i == 0); err != nil {
			return err
		}
		until := size
		if i+1 < len(segs) {
			until = min(until, segs[i+1].first)
		}
		if end, err := ld.load(s, until); err != nil {
			return located(err, s, end)
		}
	}
	return nil
}

// Extend stores what is new of a verified batch, durable before it returns:
// the lines, then the checkpoint.
func (c *Copy) Extend(v *VerifiedBatch) (Outcome, error) {
	if v.Log != c.name {
		return Conflict, fmt.Errorf("a batch of log %s does not extend %s", v.Log, c.name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.extend(v)
}

// Begin is Extend for a log of which nothing is held and whose beginning nobody
// who was asked has: an empty copy then begins where the batch does.
func (c *Copy) Begin(v *VerifiedBatch) (Outcome, error) {
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
		c.chain.begin(at, c.name.ID, c.files.segment(at.Size))
	}
	return c.extend(v)
}

func (c *Copy) extend(v *VerifiedBatch) (Outcome, error) {
	size := c.Size()
	if v.First > size {
		return Hole, nil
	}
	common := min(size, v.End())
	if common < c.First() {
		return Known, nil // was, until retention removed it
	}
	ours, _, err := c.chain.frontierAt(common)
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
	if err := c.store(lines); err != nil {
		return Hole, fmt.Errorf("extend the copy of %s: %w", c.name, err)
	}
	_, bytes := c.chain.head()
	grown := pieces(size, c.chain.segmentOf(noLimit).bytes, withHashes(lines, v.Leaves[size-v.First:]))
	a := anchor{size: v.Head.Size, root: v.Head.Root, pos: bytes + int64(len(lines)), note: v.Head.Note}
	if err := c.kept.add(func() { c.chain.grow(grown) }, a); err != nil {
		return Hole, err
	}
	return Extended, nil
}

// Close writes the end of the index and closes it; the lines are durable already.
func (c *Copy) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chain.flushIndex()
}

// store writes lines at the end of the last segment and syncs them. Bytes that
// an earlier failed call left there are overwritten.
func (c *Copy) store(lines []byte) error {
	if c.Segments() == 0 || c.chain.segmentOf(noLimit).bytes >= c.seal {
		frontier, _ := c.chain.head()
		if err := createCopySegment(c.fsys, c.files, c.name, frontier); err != nil {
			return err
		}
		c.chain.seal(c.files.segment(frontier.Size))
	}
	last := c.chain.segmentOf(noLimit)
	f, err := c.fsys.OpenFile(last.path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() < last.bytes {
		err = &DamageError{File: last.path, Offset: info.Size(), Reason: "the file became shorter"}
	}
	if err == nil && info.Size() > last.bytes {
		err = f.Truncate(last.bytes)
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
func createCopySegment(fsys durable.FS, f files, name LogName, at Frontier) error {
	path := f.segment(at.Size)
	if there, err := exists(fsys, path); err != nil {
		return err
	} else if there {
		if err := cut(fsys, path, 0); err != nil {
			return err
		}
	}
	head := segmentHead{Peer: name.Peer, First: at.Size, Frontier: at.Hashes}
	if at.Size > 0 {
		head.Log = name.IDString()
	} else {
		head.Frontier = []Hash{}
	}
	// A copy's directory may be new, and so may be that above it.
	for _, dir := range []string{filepath.Dir(f.dir), filepath.Dir(filepath.Dir(f.dir))} {
		if err := fsys.SyncDir(dir); err != nil {
			return err
		}
	}
	_, err := createSegment(fsys, f, head)
	return err
}
