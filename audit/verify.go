package audit

import (
	"errors"
	"fmt"
	"time"

	"auditmesh/internal/durable"
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
	FS durable.FS
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
		o.FS = durable.OS{}
	}
	v := verifier{opts: o, rep: Report{Path: path, Deep: o.Deep, Problems: []string{}, Derived: []string{}}}
	v.files = filesOf(path)
	info, err := o.FS.Stat(path)
	if err == nil && info.IsDir() {
		v.files = files{dir: path, name: copyFileName}
	}
	if v.segs, err = v.segments(path, err); err != nil {
		return v.rep, err
	}
	v.run(path)
	return v.rep, nil
}

type verifier struct {
	opts  VerifyOptions
	files files
	segs  []segment
	rep   Report

	total, done int64
	index       *indexReader // of the segment that is read
	indexBad    bool
	inUse       bool // or was not closed, or is a copy
	lastOne     bool // the last segment is read
}

// segments finds the files. The path itself may be gone while the segments,
// which are other names of the same files, are there.
func (v *verifier) segments(path string, statErr error) ([]segment, error) {
	segs, err := listSegments(v.opts.FS, v.files)
	if err != nil {
		return nil, err
	}
	if len(segs) == 0 {
		if statErr != nil {
			return nil, statErr
		}
		segs = []segment{{path: path}}
		v.problem(errors.New("no segment of a log stands here: the lines are read without proof"))
	}
	for _, s := range segs {
		v.total += s.bytes
	}
	v.inUse = !closed(v.opts.FS, v.files.lock())
	return segs, nil
}

func (v *verifier) run(path string) {
	rep := &v.rep
	state, kept := v.statements()
	c := &chain{fsys: v.opts.FS, files: v.files}
	last, _ := kept.last()
	ld := &loader{chain: c, kept: kept, floor: last.size, decode: v.opts.Deep, onBytes: v.progress, onEntry: v.compare, onPart: v.comparePart}
	v.load(ld)
	if len(rep.Problems) == 0 {
		if err := ld.complete(); err != nil {
			v.problem(v.blame(c, before(kept.list, ld.next), kept.list[ld.next].size, err))
		}
	}
	rep.First, rep.Records, rep.Segments, rep.Signed = c.first(), c.size(), len(c.segments()), last.size
	rep.Bytes, rep.Unreadable = c.bytesBefore(), ld.unreadable
	if rep.Records > 0 {
		head, _ := c.head()
		rep.Root = head.Root().String()
	}
	v.names(c, last, state)
	if state.Size > last.size {
		v.problem(fmt.Errorf("%s: the last checkpoint states %d records, %s that %d were signed: checkpoints are lost", v.files.checkpoints(), last.size, v.opts.SignedPath, state.Size))
	} else if again := v.stateAgain(state, last); again.Size < last.size && again.Version != 0 {
		v.problem(fmt.Errorf("%s: states that %d records were signed, %s has a checkpoint of %d: the state was put back from a backup, or changed", v.opts.SignedPath, again.Size, v.files.checkpoints(), last.size))
	} else if len(rep.Problems) == 0 && state.Size >= c.first() {
		if err := checkSigned(c, state, path); err != nil {
			v.problem(err)
		}
	}
}

// stateAgain is the state as it is now where it was behind the checkpoints,
// which were read later: the node may be signing.
func (v *verifier) stateAgain(state SignedState, last anchor) SignedState {
	if state.Size >= last.size || state.Version == 0 {
		return state
	}
	if again, err := readSigned(v.opts.FS, v.opts.SignedPath, ""); err == nil {
		return again
	}
	return state
}

// names compares what the files say of whose log this is.
func (v *verifier) names(c *chain, last anchor, state SignedState) {
	rep := &v.rep
	cp, err := ParseCheckpoint(last.note)
	if err != nil {
		if rep.Records > 0 && len(rep.Problems) == 0 && v.opts.SignedPath == "" {
			v.problem(fmt.Errorf("%s: no checkpoint is kept: nothing shows that the lines are those that were written", v.files.checkpoints()))
		}
		return
	}
	rep.Log = cp.Log.String()
	if state.Version != 0 && state.Peer != cp.Log.Peer {
		v.problem(fmt.Errorf("%s: is the state of %s, the checkpoints are signed by %s", v.opts.SignedPath, state.Peer, cp.Log.Peer))
	}
	if rep.Records > 0 && cp.Log.IDString() != c.idString() && len(rep.Problems) == 0 {
		v.problem(fmt.Errorf("%s: the checkpoints are of log %s, the first line gives %s", v.files.checkpoints(), cp.Log.IDString(), c.idString()))
	}
	for _, s := range v.segs {
		if head, err := readHead(v.opts.FS, v.files.head(s.first)); err == nil && head.Peer != cp.Log.Peer {
			v.problem(&DamageError{File: v.files.head(s.first), Reason: fmt.Sprintf("names %s as the log's node, the checkpoints name %s", head.Peer, cp.Log.Peer)})
		}
	}
}

// load reads the segments until one is damaged.
func (v *verifier) load(ld *loader) {
	for i, s := range v.segs {
		if err := ld.head(s, i == 0); err != nil && len(v.rep.Problems) == 0 {
			if i > 0 { // the head tells of the lines before it too
				err = v.blame(ld.chain, before(ld.kept.list, ld.next), s.first, err)
			}
			v.problem(err)
			if i > 0 || s.first > 0 {
				return // without its head the lines of a later segment prove nothing
			}
		}
		until := uint64(noLimit)
		if v.lastOne = i+1 == len(v.segs); !v.lastOne {
			until = v.segs[i+1].first
		}
		v.openIndex(s)
		end, err := ld.load(s, until)
		if n := ld.chain.size(); err == nil && !v.lastOne && n < until {
			v.indexBad = true
			v.problem(v.blame(ld.chain, before(ld.kept.list, ld.next), until, &DamageError{File: s.path, Offset: end, Reason: fmt.Sprintf("it ends after record %d, the next segment begins with %d", n, until)}))
		}
		v.closeIndex(err == nil)
		var root *rootError
		switch {
		case err == nil:
		case errors.Is(err, errUnfinished) && v.lastOne:
			v.rep.Unfinished = s.bytes - end
		case errors.As(err, &root):
			v.problem(v.blame(ld.chain, root.from, root.size, err))
			return
		default:
			v.problem(located(err, s, end))
			return
		}
	}
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
func (v *verifier) statements() (state SignedState, kept *anchors) {
	var err error
	if v.opts.SignedPath != "" {
		if state, err = readSigned(v.opts.FS, v.opts.SignedPath, ""); err != nil {
			v.problem(err)
		}
	}
	for try := 0; ; try++ {
		if kept, err = loadAnchors(v.opts.FS, v.files.checkpoints()); err != nil {
			v.problem(err)
			return state, &anchors{}
		}
		if last, _ := kept.last(); last.size >= state.Size || !v.inUse || try == 5 {
			break
		}
		time.Sleep(signing)
	}
	if info, err := v.opts.FS.Stat(v.files.checkpoints()); err == nil && info.Size() > kept.fileSize && v.opts.SignedPath == "" {
		v.problem(&DamageError{File: v.files.checkpoints(), Offset: kept.fileSize, Reason: "the last checkpoint is cut short: a crash, or somebody, came between"})
	}
	return state, kept
}
