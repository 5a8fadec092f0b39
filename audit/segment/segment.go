package segment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
)

// A log is a sequence of segments in one directory, named <name>-<first seq, 20
// digits>.jsonl, each with a head file beside it, <name>-<first seq>.segment.
// docs/formats.md, "Segments".

const (
	maxHeadFile = 16 << 10
	headVersion = 2

	// DefaultSegmentBytes is the size at which a segment is sealed, if nothing
	// else was said.
	DefaultSegmentBytes = 128 << 20
)

// Segment is one file of a log.
type Segment struct {
	First uint64
	Path  string
	Bytes int64  // up to the durable size; later bytes are not read
	marks []mark // one for each block that has records here
	gen   int    // tells a file from the one that replaced it under the same name
}

// Head is the content of a head file: what must be known of a segment to
// prove its lines without those before it. It is not derived once earlier
// segments are gone, so it is synced before the segment is used.
type Head struct {
	Version int    `json:"version"`
	Peer    string `json:"peer"`
	// Log is the log id in hex, empty for a first segment: an empty log has no name.
	Log      string        `json:"log,omitempty"`
	First    uint64        `json:"first"`
	Frontier []merkle.Hash `json:"frontier"`
	// AdoptedBytes is the size of the file that was adopted as this segment.
	AdoptedBytes int64 `json:"adopted_bytes,omitempty"`
	// Check is the CRC-32C of the file with "check" empty, in hex.
	Check string `json:"check"`
}

// encode makes the one form that a head has.
func (h Head) encode() ([]byte, error) {
	h.Version, h.Check = headVersion, ""
	raw, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		return nil, err
	}
	h.Check = fmt.Sprintf("%08x", crc32.Checksum(append(raw, '\n'), crcTable))
	raw, err = json.MarshalIndent(h, "", " ")
	return append(raw, '\n'), err
}

// WriteHead writes a head file, durable, its name included.
func WriteHead(fsys disk.FS, path string, h Head) error {
	raw, err := h.encode()
	if err != nil {
		return err
	}
	return disk.WriteFile(fsys, path, raw, 0o600)
}

// ReadHead reads a head file. One that is not as it was written is a *DamageError.
func ReadHead(fsys disk.FS, path string) (Head, error) {
	var h Head
	raw, err := disk.ReadFile(fsys, path, maxHeadFile)
	if errors.Is(err, fs.ErrNotExist) {
		return h, &DamageError{File: path, Reason: "the segment's head is gone: put it back from a backup; without it nothing shows that the segment belongs to the lines before it"}
	}
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return h, &DamageError{File: path, Reason: "is not a segment head: " + err.Error()}
	}
	if h.Version != headVersion {
		return h, &VersionError{path, h.Version, headVersion}
	}
	if want, err := h.encode(); err != nil || !bytes.Equal(want, raw) {
		return h, &DamageError{File: path, Reason: "is not as it was written: its checksum or its form is wrong"}
	}
	return h, nil
}

// VersionError says that a file is of another version of its format than this
// program reads. Nothing is changed.
type VersionError struct {
	File       string
	Has, Knows int
}

func (e *VersionError) Error() string {
	who := "a newer auditmesh wrote it: use that one"
	if e.Has < e.Knows {
		who = "an older auditmesh wrote it, whose format is no longer read"
	}
	return fmt.Sprintf("%s: has version %d, this program reads version %d; %s. Nothing was changed", e.File, e.Has, e.Knows, who)
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

// List finds the segments of a log by name, in order. Their sizes are
// those of the files.
func List(fsys disk.FS, f Layout) ([]Segment, error) {
	entries, err := fsys.ReadDir(f.Dir)
	if err != nil {
		return nil, err
	}
	var list []Segment
	for _, e := range entries {
		file, ok := f.Parse(e.Name())
		if !ok || file.Kind != KindSegment {
			continue
		}
		path := filepath.Join(f.Dir, e.Name())
		info, err := fsys.Stat(path)
		if err != nil {
			return nil, err
		}
		list = append(list, Segment{First: file.First, Path: path, Bytes: info.Size()})
	}
	slices.SortFunc(list, func(a, b Segment) int {
		if a.First < b.First {
			return -1
		}
		return 1
	})
	return list, nil
}

// Create makes an empty segment file and its head, durable, names
// included. What an earlier try left under the name is empty, or refused.
func Create(fsys disk.FS, f Layout, h Head) (Segment, error) {
	s := Segment{First: h.First, Path: f.Segment(h.First)}
	if err := WriteHead(fsys, f.Head(h.First), h); err != nil {
		return s, err
	}
	if info, err := fsys.Stat(s.Path); err == nil && info.Size() != 0 {
		return s, fmt.Errorf("%s exists and is not empty", s.Path)
	}
	return s, disk.WriteFile(fsys, s.Path, nil, 0o600)
}
