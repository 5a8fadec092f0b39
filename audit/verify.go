package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// Report is what Verify found. Problems is empty when the evidence is whole.
type Report struct {
	Path       string   `json:"path"`
	Log        string   `json:"log,omitempty"` // peer id and log id
	First      uint64   `json:"first"`         // seq of the first record held
	Records    uint64   `json:"records"`       // the log's size
	Bytes      int64    `json:"bytes"`
	Segments   int      `json:"segments"`
	Signed     uint64   `json:"signed"` // records that the last checkpoint covers
	Root       string   `json:"root,omitempty"`
	Deep       bool     `json:"deep"`
	Unreadable uint64   `json:"unreadable"`       // deep: records that do not decode; they are part of the log
	Unfinished int64    `json:"unfinished_bytes"` // after the last newline: being written, or never acknowledged
	Problems   []string `json:"problems"`
	// Derived tells of indexes that are not as they were left. They are made anew
	// when the log is next opened; no evidence depends on them.
	Derived []string `json:"derived"`
}

// VerifyOptions says how to verify. All fields have defaults.
type VerifyOptions struct {
	FS disk.FS
	// SignedPath is the file of the last-signed state; empty for a copy.
	SignedPath string
	// Deep decodes every line too.
	Deep bool
	// Progress is called now and then with the bytes read and those there are.
	Progress func(done, total int64)
}

// Verify reads the log whose active file or directory of a copy stands at path,
// as it is on the disk, changing nothing: it may be in use. It reads on all
// cores, in bounded memory. It compares the lines with every checkpoint kept
// beside them and, for an own log, with the last-signed state. Findings are in
// the report; the error tells of what could not be read at all. A bare JSONL
// file without checkpoints is only counted, which the report says as a problem.
func Verify(path string, o VerifyOptions) (Report, error) {
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	v := verifier{opts: o, rep: Report{Path: path, Deep: o.Deep, Problems: []string{}, Derived: []string{}}}
	v.files = segment.LayoutOf(path)
	info, err := o.FS.Stat(path)
	if err == nil && info.IsDir() {
		v.files = segment.Layout{Dir: path, Name: copyFileName}
	}
	if v.segs, err = v.segments(path, err); err != nil {
		return v.rep, err
	}
	if info != nil && !info.IsDir() && !v.bare {
		if err := v.checkPath(path); err != nil {
			v.problem(err)
		}
	}
	v.run(path)
	for _, err := range v.index.Findings {
		v.rep.Derived = append(v.rep.Derived, err.Error())
	}
	return v.rep, nil
}

type verifier struct {
	opts  VerifyOptions
	files segment.Layout
	segs  []segment.Segment
	rep   Report

	total, done int64
	index       segment.IndexCheck
	inUse       bool // or was not closed, or is a copy
	bare        bool // a JSONL file that stands alone
}

// segments finds the files. The path itself may be gone while the segments,
// which are other names of the same files, are there.
func (v *verifier) segments(path string, statErr error) ([]segment.Segment, error) {
	segs, err := segment.List(v.opts.FS, v.files)
	if err != nil {
		return nil, err
	}
	if len(segs) == 0 {
		if statErr != nil {
			return nil, statErr
		}
		segs, v.bare = []segment.Segment{{Path: path}}, true
		v.problem(errors.New("no segment of a log stands here: the lines are read without proof"))
	}
	for _, s := range segs {
		v.total += s.Bytes
	}
	v.inUse = !segment.Closed(v.opts.FS, v.files.Lock())
	v.index.InUse = func() bool { return v.inUse || !segment.Closed(v.opts.FS, v.files.Lock()) }
	return segs, nil
}

// checkPath finds a file at the log's path that is none of the segments, nor an
// earlier or a later state of the last one, as a copied directory has it. What is
// in it is in no log.
func (v *verifier) checkPath(path string) error {
	at, err := v.opts.FS.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Listed after that, and not before: the log may be rotating.
	segs, err := segment.List(v.opts.FS, v.files)
	if err != nil || len(segs) == 0 {
		return err
	}
	for _, s := range segs {
		if info, err := v.opts.FS.Stat(s.Path); err == nil && v.opts.FS.SameFile(at, info) {
			return nil
		}
	}
	last := segs[len(segs)-1].Path
	for _, pair := range [][2]string{{path, last}, {last, path}} {
		if same, err := disk.SamePrefix(v.opts.FS, pair[0], 0, pair[1]); err != nil || same {
			return err
		}
	}
	return &segment.DamageError{File: path, Reason: "another file stands at the log's path than the one that the log wrote: an editor or another program replaced it. What is in it is in no log; the log's own lines are in " + last}
}

func (v *verifier) run(path string) {
	rep := &v.rep
	state, kept := v.statements()
	last, _ := kept.Last()
	c, err := segment.Load(v.opts.FS, v.files, v.segs, kept, v.policy(last.Size))
	var root *segment.RootError
	if errors.As(err, &root) && !v.bare {
		err = root.Blame(c.Sequence)
	}
	if err != nil {
		v.problem(err)
	}
	rep.First, rep.Records, rep.Segments, rep.Signed = c.First(), c.Size(), len(c.Segments()), last.Size
	rep.Bytes, rep.Unreadable = c.Bytes(), c.Unreadable
	if rep.Records > 0 {
		head, _ := c.Head()
		rep.Root = head.Root().String()
	}
	v.names(c.Sequence, last, state)
	if state.Size > last.Size {
		v.problem(fmt.Errorf("%s: the last checkpoint states %d records, %s that %d were signed: checkpoints are lost", v.files.Checkpoints(), last.Size, v.opts.SignedPath, state.Size))
	} else if again := v.stateAgain(state, last); again.Size < last.Size && again.Version != 0 {
		v.problem(fmt.Errorf("%s: states that %d records were signed, %s has a checkpoint of %d: the state was put back from a backup, or changed", v.opts.SignedPath, again.Size, v.files.Checkpoints(), last.Size))
	} else if len(rep.Problems) == 0 && state.Size >= c.First() {
		if err := checkSigned(c.Sequence, state, path); err != nil {
			v.problem(err)
		}
	}
}

// stateAgain is the state as it is now where it was behind the checkpoints,
// which were read later: the node may be signing.
func (v *verifier) stateAgain(state SignedState, last segment.Kept) SignedState {
	if state.Size >= last.Size || state.Version == 0 {
		return state
	}
	if again, err := readSigned(v.opts.FS, v.opts.SignedPath, ""); err == nil {
		return again
	}
	return state
}

// names compares what the files say of whose log this is.
func (v *verifier) names(c *segment.Sequence, last segment.Kept, state SignedState) {
	rep := &v.rep
	cp, err := merkle.ParseCheckpoint(last.Note)
	if err != nil {
		if rep.Records > 0 && len(rep.Problems) == 0 && v.opts.SignedPath == "" {
			v.problem(fmt.Errorf("%s: no checkpoint is kept: nothing shows that the lines are those that were written", v.files.Checkpoints()))
		}
		return
	}
	rep.Log = cp.Log.String()
	if state.Version != 0 && state.Peer != cp.Log.Peer {
		v.problem(fmt.Errorf("%s: is the state of %s, the checkpoints are signed by %s", v.opts.SignedPath, state.Peer, cp.Log.Peer))
	}
	if rep.Records > 0 && cp.Log.IDString() != c.ID() && len(rep.Problems) == 0 {
		v.problem(fmt.Errorf("%s: the checkpoints are of log %s, the first line gives %s", v.files.Checkpoints(), cp.Log.IDString(), c.ID()))
	}
	for _, s := range v.segs {
		if head, err := segment.ReadHead(v.opts.FS, v.files.Head(s.First)); err == nil && head.Peer != cp.Log.Peer {
			v.problem(&segment.DamageError{File: v.files.Head(s.First), Reason: fmt.Sprintf("names %s as the log's node, the checkpoints name %s", head.Peer, cp.Log.Peer)})
		}
	}
}

// policy reads all, changes nothing, and goes on where a report is worth more
// than to stop.
func (v *verifier) policy(signed uint64) segment.Policy {
	p := segment.Policy{
		Signed: signed, ReadOnly: true, Decode: v.opts.Deep, Read: v.progress,
		BadHead: func(err error) error {
			if !v.bare {
				v.problem(err)
			}
			return nil
		},
		Ended: func(at segment.Ended) error {
			if at.Next == nil && errors.Is(at.Err, segment.ErrUnfinished) {
				v.rep.Unfinished = at.Segment.Bytes - at.Offset
				return nil
			}
			return at.Err
		},
	}
	if !v.bare {
		p.Index = &v.index
	}
	return p
}

func (v *verifier) progress(n int64) {
	const step = 16 << 20
	before := v.done
	v.done += n
	if v.opts.Progress != nil && (v.done/step != before/step || v.done == v.total) {
		v.opts.Progress(v.done, v.total)
	}
}

func (v *verifier) problem(err error) { v.rep.Problems = append(v.rep.Problems, err.Error()) }

// signing is how long a node may take from the last-signed state to the
// checkpoint, both of which are synced.
const signing = 100 * time.Millisecond

// statements reads what was signed: the state first, since it is written first.
// A node that signs at this moment has the checkpoint a little later.
func (v *verifier) statements() (state SignedState, kept *segment.Checkpoints) {
	var err error
	if v.opts.SignedPath != "" {
		if state, err = readSigned(v.opts.FS, v.opts.SignedPath, ""); err != nil {
			v.problem(err)
		}
	}
	for try := 0; ; try++ {
		if kept, err = segment.LoadCheckpoints(v.opts.FS, v.files.Checkpoints()); err != nil {
			v.problem(err)
			return state, segment.NewCheckpoints(v.opts.FS, v.files.Checkpoints())
		}
		if last, _ := kept.Last(); last.Size >= state.Size || !v.inUse || try == 5 {
			break
		}
		time.Sleep(signing)
	}
	if info, err := v.opts.FS.Stat(v.files.Checkpoints()); err == nil && info.Size() > kept.Bytes() && v.opts.SignedPath == "" {
		v.problem(&segment.DamageError{File: v.files.Checkpoints(), Offset: kept.Bytes(), Reason: "the last checkpoint is cut short: a crash, or somebody, came between"})
	}
	return state, kept
}
