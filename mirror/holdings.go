package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"auditmesh/audit"
	"auditmesh/internal/durable"
	"auditmesh/internal/notify"
)

// Held is one log as it is held here: *audit.Log or *audit.Copy.
type Held interface {
	Name() (audit.LogName, bool)
	First() uint64
	Size() uint64
	SignedSize() uint64
	RootAt(size uint64) (audit.Hash, error)
	Head() (audit.Checkpoint, bool)
	Batch(from uint64) (*audit.Batch, error)
	Reader(from uint64) *audit.Reader
	SeekTime(ms uint64) (uint64, error)
	Prove(seq uint64) (audit.Proof, error)
	ProveConsistency(old audit.Checkpoint) (audit.Consistency, error)
	Retirable(keep audit.Retention, now time.Time) (uint64, error)
	Retire(first uint64) error
}

var (
	_ Held = (*audit.Log)(nil)
	_ Held = (*audit.Copy)(nil)
)

// maxLogsPerNode bounds the logs of one node that are copied. A node needs one,
// and one more for each loss of its disk.
const maxLogsPerNode = 64

// ErrTooManyLogs is returned for a log beyond maxLogsPerNode.
var ErrTooManyLogs = fmt.Errorf("a node has more than %d logs", maxLogsPerNode)

// maxEvidence bounds the conflicts that are kept of one log.
const maxEvidence = 16

// HoldingsOptions say where holdings are.
type HoldingsOptions struct {
	FS       durable.FS
	Dir      string     // of the copies
	Evidence string     // directory of refused batches
	Own      *audit.Log // this node's log, nil if auditing is disabled
	// SegmentBytes is the size at which a copy's segments are sealed; 0: 128 MiB.
	SegmentBytes int64
	Logger       *zap.Logger
}

// Holdings are the logs that this node holds. They are safe for concurrent use.
type Holdings struct {
	opts    HoldingsOptions
	changed notify.Hub

	mu       sync.RWMutex
	copies   map[audit.LogName]*audit.Copy // guarded by mu
	damaged  map[string]string             // guarded by mu: directory to reason
	conflict map[audit.LogName]int         // guarded by mu
}

// OpenHoldings opens all copies. The logs that were sealed beside the own one are
// held like copies, and extended by what peers have of them. A damaged copy is
// left out, logged, and listed by Damaged.
func OpenHoldings(o HoldingsOptions) (*Holdings, error) {
	fsys, dir := o.FS, o.Dir
	h := &Holdings{
		opts: o, copies: make(map[audit.LogName]*audit.Copy), damaged: make(map[string]string),
		conflict: make(map[audit.LogName]int),
	}
	if err := h.openSealed(); err != nil {
		return nil, err
	}
	peers, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return h, fsys.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, err
	}
	for _, peer := range peers {
		if !peer.IsDir() {
			continue // not ours, and in nobody's way
		}
		logs, err := fsys.ReadDir(filepath.Join(dir, peer.Name()))
		if err != nil {
			return nil, err
		}
		for _, log := range logs {
			if log.IsDir() {
				h.open(peer.Name(), log.Name())
			}
		}
	}
	return h, nil
}

func (h *Holdings) openSealed() error {
	if h.opts.Own == nil {
		return nil
	}
	sealed, err := audit.SealedLogs(h.opts.FS, h.opts.Own.Path())
	for id, dir := range sealed {
		h.openCopy(dir, audit.LogName{Peer: h.opts.Own.Peer(), ID: id})
	}
	return err
}

func (h *Holdings) open(peer, log string) {
	dir := filepath.Join(h.opts.Dir, peer, log)
	id, err := audit.ParseLogID(log)
	if err != nil {
		h.leaveOut(dir, err)
		return
	}
	h.openCopy(dir, audit.LogName{Peer: peer, ID: id})
}

func (h *Holdings) openCopy(dir string, name audit.LogName) {
	if h.copies[name] != nil {
		return // sealed beside the own log
	}
	c, err := audit.OpenCopy(h.opts.FS, dir, name, h.opts.SegmentBytes)
	if err != nil {
		h.leaveOut(dir, err)
		return
	}
	h.copies[name] = c
}

func (h *Holdings) leaveOut(dir string, err error) {
	h.damaged[dir] = err.Error()
	h.opts.Logger.Error("a copy is left out", zap.String("directory", dir), zap.Error(err))
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
func (h *Holdings) Conflicts() map[audit.LogName]int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make(map[audit.LogName]int, len(h.conflict))
	for name, n := range h.conflict {
		out[name] = n
	}
	return out
}

// Logs are all logs that have records, by name.
func (h *Holdings) Logs() []Held {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]Held, 0, len(h.copies)+1)
	if h.opts.Own != nil && h.opts.Own.Size() > 0 {
		list = append(list, h.opts.Own)
	}
	for _, c := range h.copies {
		if c.Size() > 0 {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Held) int { return nameOf(a).Compare(nameOf(b)) })
	return list
}

func nameOf(l Held) audit.LogName {
	name, _ := l.Name()
	return name
}

// Log is the log of that name, false if nothing of it is held.
func (h *Holdings) Log(name audit.LogName) (Held, bool) {
	if h.isOwn(name) {
		return h.opts.Own, true
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	c, ok := h.copies[name]
	return c, ok && c.Size() > 0
}

func (h *Holdings) isOwn(name audit.LogName) bool {
	if h.opts.Own == nil {
		return false
	}
	own, ok := h.opts.Own.Name()
	return ok && own == name
}

// Subscribe wakes when a copy grew.
func (h *Holdings) Subscribe() (<-chan struct{}, func()) { return h.changed.Subscribe() }

// Offered states what can be proven to others: each log up to its last
// checkpoint. Of the own log that may be less than is durable.
func (h *Holdings) Offered() []audit.LogState {
	logs := h.Logs()
	states := make([]audit.LogState, 0, len(logs))
	for _, l := range logs {
		if head, ok := l.Head(); ok {
			states = append(states, audit.LogState{Name: nameOf(l), First: l.First(), Size: head.Size, Root: head.Root})
		}
	}
	return states
}

// Batch is a batch of a held log that begins at from; io.EOF if it reaches no further.
func (h *Holdings) Batch(name audit.LogName, from uint64) (*audit.Batch, error) {
	l, ok := h.Log(name)
	if !ok {
		return nil, fmt.Errorf("nothing is held of log %s", name)
	}
	return l.Batch(from)
}

// Extend stores what is new of a verified batch. A batch of the own log changes
// nothing. One that contradicts what is held is kept as evidence.
func (h *Holdings) Extend(v *audit.VerifiedBatch) (audit.Outcome, error) {
	if h.isOwn(v.Log) {
		return audit.Known, nil
	}
	c, err := h.copyOf(v.Log, v.First == 0)
	if err != nil || c == nil {
		return audit.Hole, err
	}
	return h.extended(c, v, c.Extend)
}

// Begin is Extend for a batch before which nobody who was asked has anything:
// where nothing is held of the log, the copy begins with it.
func (h *Holdings) Begin(v *audit.VerifiedBatch) (audit.Outcome, error) {
	if h.isOwn(v.Log) {
		return audit.Known, nil
	}
	c, err := h.copyOf(v.Log, true)
	if err != nil {
		return audit.Hole, err
	}
	return h.extended(c, v, c.Begin)
}

func (h *Holdings) extended(c *audit.Copy, v *audit.VerifiedBatch, extend func(*audit.VerifiedBatch) (audit.Outcome, error)) (audit.Outcome, error) {
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
func (h *Holdings) copyOf(name audit.LogName, make bool) (*audit.Copy, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c, ok := h.copies[name]; ok {
		return c, nil
	}
	if !make {
		return nil, nil
	}
	dir := audit.CopyDir(h.opts.Dir, name)
	if why, ok := h.damaged[dir]; ok {
		return nil, fmt.Errorf("the copy of %s is damaged and left as it is: %s", name, why)
	}
	n := 0
	for other := range h.copies {
		if other.Peer == name.Peer {
			n++
		}
	}
	if n >= maxLogsPerNode {
		return nil, fmt.Errorf("%w: %s is not copied", ErrTooManyLogs, name)
	}
	c, err := audit.OpenCopy(h.opts.FS, dir, name, h.opts.SegmentBytes)
	if err != nil {
		return nil, err
	}
	h.copies[name] = c
	return c, nil
}

func (h *Holdings) keepEvidence(c *audit.Copy, v *audit.VerifiedBatch) error {
	h.mu.Lock()
	h.conflict[v.Log]++
	n := h.conflict[v.Log]
	h.mu.Unlock()
	head, ok := c.Head()
	if !ok || n > maxEvidence {
		return nil
	}
	path, err := audit.KeepEvidence(h.opts.FS, h.opts.Evidence, head, v)
	if err != nil {
		return fmt.Errorf("keep the evidence of a conflict: %w", err)
	}
	h.opts.Logger.Error("a node signed two pasts of one log; the batch was refused and kept",
		zap.Stringer("log", v.Log), zap.String("evidence", path))
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
