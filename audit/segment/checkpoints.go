package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"sync"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
)

// Kept is one checkpoint that is kept with a log.
type Kept struct {
	Size uint64
	Root merkle.Hash
	End  int64 // bytes of all lines before size, unknownPos if they were not read
	Note []byte
}

const unknownPos = -1

// Checkpoints are the checkpoints kept with a log: the last, and as few before it
// as the limits of a run allow. They are in one file, each note followed by an
// empty line, appended and synced before a checkpoint is used.
type Checkpoints struct {
	fsys disk.FS
	path string

	writing  sync.Mutex // held while the file is written and synced; before mu
	fileSize int64      // guarded by writing

	mu   sync.RWMutex // never held over a call to the disk: state is read under it
	list []Kept       // guarded by mu, by size; only changed with writing held too
}

const (
	noteEnd = "\n\n"
	// RewriteBytes is how large the file grows before the checkpoints that
	// later ones made needless are dropped from it.
	RewriteBytes   = 256 << 10
	maxCheckpoints = 1 << 30 // bytes of the file that are read
)

// NewCheckpoints are none yet; the file at path is not looked at.
func NewCheckpoints(fsys disk.FS, path string) *Checkpoints {
	return &Checkpoints{fsys: fsys, path: path}
}

// LoadCheckpoints reads the checkpoints of a log. A last entry that a crash cut
// short was never used; its bytes are cut when the file is next written. The
// signatures are verified here, and the roots when the lines are read.
func LoadCheckpoints(fsys disk.FS, path string) (*Checkpoints, error) {
	a := NewCheckpoints(fsys, path)
	raw, err := disk.ReadFile(fsys, path, maxCheckpoints)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	entries, size := splitNotes(raw)
	notes, errs := parseNotes(entries)
	for i, c := range notes {
		if errs[i] != nil && i == len(notes)-1 && hasZeros(raw[a.fileSize:]) {
			return a, nil // a power cut came while it was written
		}
		if errs[i] != nil {
			return nil, &DamageError{File: path, Offset: a.fileSize, Reason: errs[i].Error()}
		}
		if n := len(a.list); n > 0 && c.Size <= a.list[n-1].Size {
			return nil, &DamageError{File: path, Offset: a.fileSize, Reason: fmt.Sprintf("the checkpoint of %d records follows one of %d", c.Size, a.list[n-1].Size)}
		}
		a.list = append(a.list, Kept{Size: c.Size, Root: c.Root, End: unknownPos, Note: c.Note})
		a.fileSize += int64(len(entries[i])) + 1
	}
	a.fileSize = size
	return a, nil
}

// splitNotes cuts the file's content into notes, without the empty line after
// each, up to the end of the last that is whole.
func splitNotes(raw []byte) (notes [][]byte, size int64) {
	for {
		rest := raw[size:]
		body := bytes.Index(rest, []byte(noteEnd))
		if body < 0 {
			return notes, size
		}
		end := bytes.Index(rest[body+len(noteEnd):], []byte(noteEnd))
		if end < 0 {
			return notes, size
		}
		end += body + 2*len(noteEnd)
		notes = append(notes, rest[:end-1])
		size += int64(end)
	}
}

// parseNotes verifies signatures on all cores: they are most of what opening a
// long log costs.
func parseNotes(notes [][]byte) ([]merkle.Checkpoint, []error) {
	list, errs := make([]merkle.Checkpoint, len(notes)), make([]error, len(notes))
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(notes); i += workers {
				list[i], errs[i] = merkle.ParseCheckpoint(notes[i])
			}
		})
	}
	wg.Wait()
	return list, errs
}

// Last is the checkpoint of the greatest size, false if there is none.
func (a *Checkpoints) Last() (Kept, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if len(a.list) == 0 {
		return Kept{}, false
	}
	return a.list[len(a.list)-1], true
}

// after are the checkpoints of more than from records and of at most a run's.
// The first is there even if it is of more.
func (a *Checkpoints) after(from uint64) []Kept {
	a.mu.RLock()
	defer a.mu.RUnlock()
	lo := sort.Search(len(a.list), func(i int) bool { return a.list[i].Size > from })
	hi := lo
	for hi < len(a.list) && (hi == lo || a.list[hi].Size-from <= merkle.MaxRunRecords) {
		hi++
	}
	return slices.Clone(a.list[lo:hi])
}

// setEnd says where the lines of a checkpoint end.
func (a *Checkpoints) setEnd(size uint64, pos int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := sort.Search(len(a.list), func(i int) bool { return a.list[i].Size >= size })
	if i < len(a.list) && a.list[i].Size == size {
		a.list[i].End = pos
	}
}

// FitsRun says whether the lines from a place on up to a checkpoint are within
// the limits of a run.
func FitsRun(from uint64, pos int64, a Kept) bool {
	return a.End-pos <= merkle.MaxRunBytes && a.Size-from <= merkle.MaxRunRecords
}

// Add keeps checkpoints, durable when it returns nil. They must follow the last.
// synced, if not nil, is called once they are on the disk and before anyone sees
// them: nobody is to see a checkpoint of more lines than are held. Until then, and
// however long the disk takes, everyone sees those of before.
func (a *Checkpoints) Add(synced func(), more ...Kept) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	list := a.snapshot()
	var raw []byte
	for _, m := range more {
		raw = append(append(raw, m.Note...), '\n')
		if n := len(list); n > 0 && FitsRun(sizeBefore(list, n-1), posBefore(list, n-1), m) {
			list = list[:n-1]
		}
		list = append(list, m)
	}
	// Several at once replace the file: of what a power cut leaves of an append
	// only the last entry can be told from damage.
	if len(more) > 1 || a.fileSize+int64(len(raw)) > RewriteBytes && int64(len(list))*maxTypicalNote < a.fileSize/2 {
		if err := a.rewrite(list); err != nil {
			return err
		}
	} else if err := a.append(raw); err != nil {
		return err
	}
	if synced != nil {
		synced()
	}
	a.publish(list)
	return nil
}

// snapshot is a list of one's own.
func (a *Checkpoints) snapshot() []Kept {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.Clone(a.list)
}

func (a *Checkpoints) publish(list []Kept) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = list
}

// maxTypicalNote is about the size of a note, to tell when rewriting pays.
const maxTypicalNote = 400

func sizeBefore(list []Kept, i int) uint64 {
	if i == 0 {
		return 0
	}
	return list[i-1].Size
}

func posBefore(list []Kept, i int) int64 {
	if i == 0 {
		return 0
	}
	return list[i-1].End
}

// append writes entries at the end of the file. The caller holds writing.
func (a *Checkpoints) append(raw []byte) error {
	f, err := a.fsys.OpenFile(a.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	err = func() error {
		if info, err := f.Stat(); err != nil {
			return err
		} else if info.Size() != a.fileSize { // an entry that was not finished
			if err := f.Truncate(a.fileSize); err != nil {
				return err
			}
		}
		if _, err := f.Write(raw); err != nil {
			return err
		}
		return f.Sync()
	}()
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep a checkpoint in %s: %w", a.path, err)
	}
	if a.fileSize == 0 {
		if err := a.fsys.SyncDir(filepath.Dir(a.path)); err != nil {
			return err
		}
	}
	a.fileSize += int64(len(raw))
	return nil
}

// rewrite replaces the file. The caller holds writing.
func (a *Checkpoints) rewrite(list []Kept) error {
	var raw []byte
	for _, m := range list {
		raw = append(append(raw, m.Note...), '\n')
	}
	if err := disk.WriteFile(a.fsys, a.path, raw, 0o600); err != nil {
		return fmt.Errorf("keep checkpoints in %s: %w", a.path, err)
	}
	a.fileSize = int64(len(raw))
	return nil
}

// retire drops the checkpoints of less than first records.
func (a *Checkpoints) retire(first uint64) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	list := a.snapshot()
	n := sort.Search(len(list), func(i int) bool { return list[i].Size >= first })
	if n == 0 {
		return nil
	}
	if err := a.rewrite(list[n:]); err != nil {
		return err
	}
	a.publish(list[n:])
	return nil
}

// Bytes is how many bytes of the file are whole checkpoints.
func (a *Checkpoints) Bytes() int64 {
	a.writing.Lock()
	defer a.writing.Unlock()
	return a.fileSize
}

// forgetEnds makes the list as it was before the lines were read.
func (a *Checkpoints) forgetEnds() {
	for i := range a.list {
		a.list[i].End = unknownPos
	}
}

// Adopt takes over what loading the lines found.
func (a *Checkpoints) Adopt(o *Checkpoints) {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.fileSize = o.fileSize
	a.publish(o.list)
}
