package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"auditmesh/internal/durable"
)

// A log is a chain of segments in one directory, named <name>-<first seq, 20
// digits>.jsonl, each with a head file beside it, <name>-<first seq>.segment.
// docs/formats.md, "Segments".

const (
	maxHeadFile = 16 << 10
	headVersion = 1
	seqDigits   = 20
)

// files names the files of one log.
type files struct {
	dir  string
	name string // "audit" for …/audit.jsonl
}

func (f files) segment(first uint64) string { return f.path(first, ".jsonl") }
func (f files) head(first uint64) string    { return f.path(first, ".segment") }
func (f files) torn(first uint64, offset int64) string {
	return f.path(first, fmt.Sprintf("-%d.torn", offset))
}
func (f files) checkpoints() string { return filepath.Join(f.dir, f.name+".checkpoints") }

func (f files) path(first uint64, suffix string) string {
	return filepath.Join(f.dir, fmt.Sprintf("%s-%0*d%s", f.name, seqDigits, first, suffix))
}

// segment is one file of a chain.
type segment struct {
	first uint64
	path  string
	bytes int64 // up to the chain's size; later bytes are not read
	gen   int   // tells a file from the one that replaced it under the same name
}

// segmentHead is the content of a head file: what must be known of a segment to
// prove its lines without those before it. It is not derived once earlier
// segments are gone, so it is synced before the segment is used.
type segmentHead struct {
	Version int    `json:"version"`
	Peer    string `json:"peer"`
	// Log is the log id in hex, empty for a first segment: an empty log has no name.
	Log      string `json:"log,omitempty"`
	First    uint64 `json:"first"`
	Frontier []Hash `json:"frontier"`
	// AdoptedBytes is the size of the file that was adopted as this segment.
	AdoptedBytes int64 `json:"adopted_bytes,omitempty"`
}

func writeHead(fsys durable.FS, path string, h segmentHead) error {
	h.Version = headVersion
	raw, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		return err
	}
	return durable.WriteFile(fsys, path, append(raw, '\n'), 0o600)
}

func readHead(fsys durable.FS, path string) (segmentHead, error) {
	var h segmentHead
	raw, err := durable.ReadFile(fsys, path, maxHeadFile)
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return h, &DamageError{File: path, Reason: "is not a segment head: " + err.Error()}
	}
	if h.Version != headVersion {
		return h, &DamageError{File: path, Reason: fmt.Sprintf("has version %d, this program knows %d", h.Version, headVersion)}
	}
	return h, nil
}

// DamageError says that a file is not as it was left, and where. Nothing is
// changed: an operator decides, usually after `auditmesh verify`.
type DamageError struct {
	File   string
	Offset int64
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s: damaged at byte %d: %s; nothing was changed: keep the file, and see \"Damage\" in docs/formats.md", e.File, e.Offset, e.Reason)
}

// listSegments finds the segments of a log by name, in order. Their sizes are
// those of the files.
func listSegments(fsys durable.FS, f files) ([]segment, error) {
	entries, err := fsys.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	var list []segment
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), f.name+"-")
		if !ok {
			continue
		}
		digits, ok := strings.CutSuffix(rest, ".jsonl")
		if !ok || len(digits) != seqDigits {
			continue
		}
		first, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			continue
		}
		path := filepath.Join(f.dir, e.Name())
		info, err := fsys.Stat(path)
		if err != nil {
			return nil, err
		}
		list = append(list, segment{first: first, path: path, bytes: info.Size()})
	}
	slices.SortFunc(list, func(a, b segment) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	return list, nil
}

// createSegment makes an empty segment file and its head, durable, name
// included. An empty file that a crash left is used.
func createSegment(fsys durable.FS, f files, h segmentHead) (segment, error) {
	s := segment{first: h.First, path: f.segment(h.First)}
	if err := writeHead(fsys, f.head(h.First), h); err != nil {
		return s, err
	}
	file, err := fsys.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return s, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() != 0 {
		err = fmt.Errorf("%s exists and is not empty", s.path)
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return s, err
	}
	return s, fsys.SyncDir(f.dir)
}

func exists(fsys durable.FS, path string) (bool, error) {
	_, err := fsys.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
