package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
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
	headVersion = 2
	seqDigits   = 20

	defaultSegmentBytes = 128 << 20
)

// files names the files of one log.
type files struct {
	dir  string
	name string // "audit" for …/audit.jsonl
}

// filesOf names the files of the log whose active file is at path.
func filesOf(path string) files {
	dir, base := filepath.Split(path)
	return files{dir: filepath.Clean(dir), name: strings.TrimSuffix(base, ".jsonl")}
}

func (f files) segment(first uint64) string { return f.path(first, ".jsonl") }
func (f files) head(first uint64) string    { return f.path(first, ".segment") }
func (f files) index(first uint64) string   { return f.path(first, ".index") }
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
	bytes int64  // up to the chain's size; later bytes are not read
	marks []mark // one for each block that has records here
	gen   int    // tells a file from the one that replaced it under the same name
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
	// Check is the CRC-32C of the file with "check" empty, in hex.
	Check string `json:"check"`
}

// encode makes the one form that a head has.
func (h segmentHead) encode() ([]byte, error) {
	h.Version, h.Check = headVersion, ""
	raw, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		return nil, err
	}
	h.Check = fmt.Sprintf("%08x", crc32.Checksum(append(raw, '\n'), crcTable))
	raw, err = json.MarshalIndent(h, "", " ")
	return append(raw, '\n'), err
}

func writeHead(fsys durable.FS, path string, h segmentHead) error {
	raw, err := h.encode()
	if err != nil {
		return err
	}
	return durable.WriteFile(fsys, path, raw, 0o600)
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
	if want, err := h.encode(); err != nil || !bytes.Equal(want, raw) {
		return h, &DamageError{File: path, Reason: "is not as it was written: its checksum or its form is wrong"}
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

// createSegment makes an empty segment file and its head, durable, names
// included. What an earlier try left under the name is empty, or refused.
func createSegment(fsys durable.FS, f files, h segmentHead) (segment, error) {
	s := segment{first: h.First, path: f.segment(h.First)}
	if err := writeHead(fsys, f.head(h.First), h); err != nil {
		return s, err
	}
	if info, err := fsys.Stat(s.path); err == nil && info.Size() != 0 {
		return s, fmt.Errorf("%s exists and is not empty", s.path)
	}
	return s, durable.WriteFile(fsys, s.path, nil, 0o600)
}

func exists(fsys durable.FS, path string) (bool, error) {
	_, err := fsys.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
