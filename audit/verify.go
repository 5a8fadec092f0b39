package audit

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

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
	Unreadable uint64   `json:"unreadable"` // records that do not decode; they are part of the log
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
	kept, err := loadAnchors(fsys, f.checkpoints())
	if err != nil {
		rep.problem(err)
		kept = &anchors{}
	}
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
		if end, err := ld.load(s, until); err != nil {
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
	if signedPath != "" {
		if err := checkState(fsys, signedPath, path, last, c); err != nil {
			rep.problem(err)
		}
	}
	rep.Unreadable, err = countUnreadable(c)
	return rep, err
}

func (r *Report) problem(err error) { r.Problems = append(r.Problems, err.Error()) }

func checkState(fsys durable.FS, signedPath, path string, last anchor, c *chain) error {
	state, err := readSigned(fsys, signedPath, "")
	if err != nil {
		return err
	}
	if state.Size > last.size {
		return fmt.Errorf("%s: the last checkpoint states %d records, %s that %d were signed: checkpoints are lost", c.files.checkpoints(), last.size, signedPath, state.Size)
	}
	return checkSigned(c, state, path)
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
