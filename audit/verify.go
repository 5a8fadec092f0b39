package audit

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"auditmesh/internal/durable"
)

// Report is what Verify found. Problems is empty when all is well.
type Report struct {
	Path       string   `json:"path"`
	Log        string   `json:"log,omitempty"` // peer id and log id
	Records    uint64   `json:"records"`
	Bytes      int64    `json:"bytes"`
	Segments   int      `json:"segments"`
	Signed     uint64   `json:"signed"` // records that the last checkpoint covers
	Root       string   `json:"root,omitempty"`
	Unreadable uint64   `json:"unreadable"`       // records that do not decode; they are part of the log
	Unfinished int64    `json:"unfinished_bytes"` // after the last newline: being written, or never acknowledged
	Problems   []string `json:"problems"`
}

// Verify reads the log whose active file or directory of a copy stands at path,
// as it is on the disk, changing nothing: it may be in use. It compares the
// lines with every checkpoint kept beside them and, if signedPath is not empty,
// with the last-signed state. Findings are in the report; the error tells of
// what could not be read at all. A bare JSONL file without checkpoints is only
// counted and decoded, which the report says as a problem.
func Verify(fsys durable.FS, path, signedPath string) (Report, error) {
	rep := Report{Path: path}
	f := files{dir: filepath.Dir(path), name: strings.TrimSuffix(filepath.Base(path), ".jsonl")}
	if info, err := fsys.Stat(path); err != nil {
		return rep, err
	} else if info.IsDir() {
		f = files{dir: path, name: copyFileName}
	}
	state, kept := rep.statements(fsys, f, signedPath)
	segs, err := listSegments(fsys, f)
	if err != nil {
		return rep, err
	}
	if len(segs) == 0 {
		segs = []segment{{path: path}}
		rep.problem(errors.New("no segment of a log stands here: the lines are read without proof"))
	}
	c := &chain{fsys: fsys, files: f}
	last, _ := kept.last()
	ld := &loader{chain: c, kept: kept, floor: last.size}
	for i, s := range segs {
		if head, err := readHead(fsys, f.head(s.first)); err == nil {
			ld.floorBytes = head.AdoptedBytes
		} else if len(kept.list) > 0 {
			rep.problem(err)
		}
		until := uint64(1 << 63)
		if i+1 < len(segs) {
			until = segs[i+1].first
		}
		end, err := ld.load(s, until)
		if errors.Is(err, errUnfinished) && i == len(segs)-1 {
			rep.Unfinished = s.bytes - end
		} else if err != nil {
			rep.problem(located(err, s, end))
			break
		}
	}
	if len(rep.Problems) == 0 {
		if err := ld.complete(); err != nil {
			rep.problem(err)
		}
	}
	rep.Records, rep.Bytes, rep.Segments, rep.Signed = c.tree.size(), c.bytes, len(c.segs), last.size
	if rep.Records > 0 {
		rep.Root = c.tree.frontier().Root().String()
	}
	if cp, err := ParseCheckpoint(last.note); err == nil {
		rep.Log = cp.Log.String()
		if rep.Records > 0 && cp.Log.ID != c.id {
			rep.problem(fmt.Errorf("%s: the checkpoints are of log %s, the first line gives %s", f.checkpoints(), cp.Log.IDString(), PartyID(c.id)))
		}
	} else if rep.Records > 0 && len(rep.Problems) == 0 && signedPath == "" {
		rep.problem(fmt.Errorf("%s: no checkpoint is kept: nothing shows that the lines are those that were written", f.checkpoints()))
	}
	if state.Size > last.size {
		rep.problem(fmt.Errorf("%s: the last checkpoint states %d records, %s that %d were signed: checkpoints are lost", f.checkpoints(), last.size, signedPath, state.Size))
	} else if err := checkSigned(c, state, path); err != nil {
		rep.problem(err)
	}
	rep.Unreadable, err = countUnreadable(c)
	return rep, err
}

func (r *Report) problem(err error) { r.Problems = append(r.Problems, err.Error()) }

// signing is how long a node may take from the last-signed state to the
// checkpoint, both of which are synced.
const signing = 100 * time.Millisecond

// statements reads what was signed: the state first, since it is written first.
// A node that signs at this moment has the checkpoint a little later.
func (r *Report) statements(fsys durable.FS, f files, signedPath string) (state SignedState, kept *anchors) {
	var err error
	if signedPath != "" {
		if state, err = readSigned(fsys, signedPath, ""); err != nil {
			r.problem(err)
		}
	}
	for try := 0; ; try++ {
		if kept, err = loadAnchors(fsys, f.checkpoints()); err != nil {
			r.problem(err)
			return state, &anchors{}
		}
		if last, _ := kept.last(); last.size >= state.Size || try == 5 {
			return state, kept
		}
		time.Sleep(signing)
	}
}

func countUnreadable(c *chain) (n uint64, err error) {
	r := newReader(c, 0)
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if _, err := Decode(rec.Line); err != nil {
			n++
		}
	}
}
