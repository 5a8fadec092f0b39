package holdings

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
	"auditmesh/internal/notify"
)

// Log is one log as it is held here: *audit.Log or *audit.Copy.
type Log interface {
	Name() (merkle.LogName, bool)
	First() uint64
	Size() uint64
	SignedSize() uint64
	RootAt(size uint64) (merkle.Hash, error)
	Head() (merkle.Checkpoint, bool)
	Batch(from uint64) (*merkle.Batch, error)
	Reader(from uint64) *segment.Reader
	SeekTime(ms uint64) (uint64, error)
	Prove(seq uint64) (merkle.Proof, error)
	ProveConsistency(old merkle.Checkpoint) (merkle.Consistency, error)
	Retirable(keep segment.Retention, now time.Time) (uint64, error)
	Retire(first uint64) error
}

var (
	_ Log = (*audit.Log)(nil)
	_ Log = (*audit.Copy)(nil)
)

// maxLogsPerNode bounds the logs of one node that are copied. A node needs one,
// and one more for each loss of its disk.
const maxLogsPerNode = 64

// ErrTooManyLogs is returned for a log beyond maxLogsPerNode.
var ErrTooManyLogs = fmt.Errorf("a node has more than %d logs", maxLogsPerNode)

// maxEvidence bounds the conflicts that are kept of one log.
const maxEvidence = 16

// Options say where holdings are.
type Options struct {
	FS       disk.FS
	Dir      string     // of the copies
	Evidence string     // directory of refused batches
	Own      *audit.Log // this node's log, nil if auditing is disabled
	// SegmentBytes is the size at which a copy's segments are sealed; 0: 128 MiB.
	SegmentBytes int64
	Logger       *slog.Logger
}

// Holdings are the logs that this node holds. They are safe for concurrent use.
type Holdings struct {
	Opts    Options
	changed notify.Hub

	making sync.Mutex // held while a copy is made; before mu

	mu       sync.RWMutex                   // never held over a call to the disk: state is read under it
	copies   map[merkle.LogName]*audit.Copy // guarded by mu
	damaged  map[string]string              // guarded by mu: directory to reason
	conflict map[merkle.LogName]int         // guarded by mu
}

// Open opens all copies. The logs that were sealed beside the own one are
// held like copies, and extended by what peers have of them. A damaged copy is
// left out, logged, and listed by Damaged. Directories whose names are no peer id and
// log id are others', and are not looked into.
func Open(o Options) (*Holdings, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	fsys, dir := o.FS, o.Dir
	h := &Holdings{
		Opts: o, copies: make(map[merkle.LogName]*audit.Copy), damaged: make(map[string]string),
		conflict: make(map[merkle.LogName]int),
	}
	isEvidence := func(name string) bool { return strings.HasSuffix(name, evidenceSuffix) }
	if err := disk.RemoveTemps(fsys, o.Evidence, isEvidence); err != nil {
		return nil, err
	}
	if err := h.openSealed(); err != nil {
		return nil, err
	}
	peers, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return h, disk.MkdirAll(fsys, dir, 0o700)
	}
	if err != nil {
		return nil, err
	}
	for _, peer := range peers {
		if _, err := merkle.PeerKey(peer.Name()); err != nil || !peer.IsDir() {
			continue // another program's (lost+found), and in nobody's way
		}
		logs, err := fsys.ReadDir(filepath.Join(dir, peer.Name()))
		if err != nil {
			return nil, err
		}
		for _, log := range logs {
			id, err := merkle.ParseLogID(log.Name())
			if err != nil || !log.IsDir() {
				continue
			}
			h.openCopy(filepath.Join(dir, peer.Name(), log.Name()), merkle.LogName{Peer: peer.Name(), ID: id})
		}
	}
	return h, nil
}

func (h *Holdings) openSealed() error {
	if h.Opts.Own == nil {
		return nil
	}
	sealed, err := audit.SealedLogs(h.Opts.FS, h.Opts.Own.Path())
	for id, dir := range sealed {
		h.openCopy(dir, merkle.LogName{Peer: h.Opts.Own.Peer(), ID: id})
	}
	return err
}

func (h *Holdings) openCopy(dir string, name merkle.LogName) {
	if h.copies[name] != nil {
		return // sealed beside the own log
	}
	c, err := audit.OpenCopy(h.Opts.FS, dir, name, h.Opts.SegmentBytes)
	if err != nil {
		h.leaveOut(dir, err)
		return
	}
	h.copies[name] = c
}

func (h *Holdings) leaveOut(dir string, err error) {
	h.damaged[dir] = err.Error()
	h.Opts.Logger.Error("a copy is left out", slog.String("directory", dir), slog.Any("error", err))
}

// Damaged lists the copies that could not be opened, with the reasons.
func (h *Holdings) Damaged() map[string]string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make(map[string]string, len(h.damaged))
	for dir, why := range h.damaged {
		out[dir] = why
	}
	return out
}

// Conflicts counts the refused batches of each log that contradict what is held.
func (h *Holdings) Conflicts() map[merkle.LogName]int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make(map[merkle.LogName]int, len(h.conflict))
	for name, n := range h.conflict {
		out[name] = n
	}
	return out
}

// Logs are all logs that have records, by name.
func (h *Holdings) Logs() []Log {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]Log, 0, len(h.copies)+1)
	if h.Opts.Own != nil && h.Opts.Own.Size() > 0 {
		list = append(list, h.Opts.Own)
	}
	for _, c := range h.copies {
		if c.Size() > 0 {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Log) int { return NameOf(a).Compare(NameOf(b)) })
	return list
}

// NameOf is a log's name, the zero value while the log is empty.
func NameOf(l Log) merkle.LogName {
	name, _ := l.Name()
	return name
}

// Log is the log of that name, false if nothing of it is held.
func (h *Holdings) Log(name merkle.LogName) (Log, bool) {
	if h.isOwn(name) {
		return h.Opts.Own, true
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	c, ok := h.copies[name]
	return c, ok && c.Size() > 0
}

// Knows says whether a log is held, or a damaged copy of it is there.
func (h *Holdings) Knows(name merkle.LogName) bool {
	if _, ok := h.Log(name); ok {
		return true
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for dir := range h.damaged {
		if filepath.Base(dir) == name.IDString() {
			return true
		}
	}
	return false
}

func (h *Holdings) isOwn(name merkle.LogName) bool {
	if h.Opts.Own == nil {
		return false
	}
	own, ok := h.Opts.Own.Name()
	return ok && own == name
}

// Subscribe wakes when a copy grew.
func (h *Holdings) Subscribe() (<-chan struct{}, func()) { return h.changed.Subscribe() }

// Offered states what can be proven to others: each log up to its last
// checkpoint. Of the own log that may be less than is durable.
func (h *Holdings) Offered() []merkle.LogState {
	logs := h.Logs()
	states := make([]merkle.LogState, 0, len(logs))
	for _, l := range logs {
		if head, ok := l.Head(); ok {
			states = append(states, merkle.LogState{Name: NameOf(l), First: l.First(), Size: head.Size, Root: head.Root})
		}
	}
	return states
}

// Batch is a batch of a held log that begins at from; io.EOF if it reaches no further.
func (h *Holdings) Batch(name merkle.LogName, from uint64) (*merkle.Batch, error) {
	l, ok := h.Log(name)
	if !ok {
		return nil, fmt.Errorf("nothing is held of log %s", name)
	}
	return l.Batch(from)
}

// Extend stores what is new of a verified batch. A batch of the own log changes
// nothing. One that contradicts what is held is kept as evidence.
func (h *Holdings) Extend(v *merkle.VerifiedBatch) (audit.Outcome, error) {
	if h.isOwn(v.Log) {
		return audit.Known, nil
	}
	c, err := h.copyOf(v.Log, v.First == 0)
	if err != nil || c == nil {
		return audit.Hole, err
	}
	return h.extended(c, v, c.Extend)
}

// StartAt is Extend for a batch before which nobody who was asked has anything:
// where nothing is held of the log, the copy begins with it.
func (h *Holdings) StartAt(v *merkle.VerifiedBatch) (audit.Outcome, error) {
	if h.isOwn(v.Log) {
		return audit.Known, nil
	}
	c, err := h.copyOf(v.Log, true)
	if err != nil {
		return audit.Hole, err
	}
	return h.extended(c, v, c.StartAt)
}

func (h *Holdings) extended(c *audit.Copy, v *merkle.VerifiedBatch, extend func(*merkle.VerifiedBatch) (audit.Outcome, error)) (audit.Outcome, error) {
	outcome, err := extend(v)
	if err != nil {
		return outcome, err
	}
	switch outcome {
	case audit.Extended:
		h.changed.Notify()
	case audit.Conflict:
		return outcome, h.keepEvidence(c, v)
	}
	return outcome, nil
}

// copyOf is the copy of a log, nil if there is none and none is to be made.
func (h *Holdings) copyOf(name merkle.LogName, make bool) (*audit.Copy, error) {
	if c := h.copyHeld(name); c != nil || !make {
		return c, nil
	}
	h.making.Lock()
	defer h.making.Unlock()
	if c := h.copyHeld(name); c != nil { // made meanwhile
		return c, nil
	}
	dir := audit.CopyDir(h.Opts.Dir, name)
	if err := h.refuseCopy(name, dir); err != nil {
		return nil, err
	}
	c, err := audit.OpenCopy(h.Opts.FS, dir, name, h.Opts.SegmentBytes)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.copies[name] = c
	return c, nil
}

func (h *Holdings) copyHeld(name merkle.LogName) *audit.Copy {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.copies[name]
}

// refuseCopy says why no copy of a log is made, or returns nil.
func (h *Holdings) refuseCopy(name merkle.LogName, dir string) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if why, ok := h.damaged[dir]; ok {
		return fmt.Errorf("the copy of %s is damaged and left as it is: %s", name, why)
	}
	n := 0
	for other := range h.copies {
		if other.Peer == name.Peer {
			n++
		}
	}
	if n >= maxLogsPerNode {
		return fmt.Errorf("%w: %s is not copied", ErrTooManyLogs, name)
	}
	return nil
}

func (h *Holdings) keepEvidence(c *audit.Copy, v *merkle.VerifiedBatch) error {
	h.mu.Lock()
	h.conflict[v.Log]++
	n := h.conflict[v.Log]
	h.mu.Unlock()
	head, ok := c.Head()
	if !ok || n > maxEvidence {
		return nil
	}
	path, err := KeepEvidence(h.Opts.FS, h.Opts.Evidence, head, v)
	if err != nil {
		return fmt.Errorf("keep the evidence of a conflict: %w", err)
	}
	h.Opts.Logger.Error("a node signed two pasts of one log; the batch was refused and kept",
		slog.Any("log", v.Log), slog.String("evidence", path))
	return nil
}

// Close frees the files of the copies.
func (h *Holdings) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.copies {
		c.Close()
	}
}
