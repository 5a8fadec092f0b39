package segment

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// The names of a log's files. Here they are made, and here alone they are told from
// those of other programs: a name is ours if it is, to the byte, one that is made
// here. All else beside a log is never read, moved or removed.

// Layout names the files of one log.
type Layout struct {
	Dir  string
	Name string // "audit" for …/audit.jsonl
}

// LayoutOf names the files of the log whose active file is at path.
func LayoutOf(path string) Layout {
	dir, base := filepath.Split(path)
	return Layout{Dir: filepath.Clean(dir), Name: strings.TrimSuffix(base, activeSuffix)}
}

// Kind is what a file of a log is for.
type Kind int

// The kinds of files. Those before KindCheckpoints are of one segment.
const (
	KindSegment   Kind = iota // the lines
	KindHead                  // what is to be known of the lines before them
	KindIndex                 // derived, as is the one that is being made
	KindNewIndex              //
	KindTorn                  // an unfinished end that was set aside
	KindUnsigned              // what a succession took from a sealed log's end
	KindUnclaimed             // a copy's segment or head that nothing says to be held
	KindCheckpoints
	KindReserve
	KindSealed // the directory of sealed logs
	KindSuccessor
	KindLock
)

const (
	activeSuffix      = ".jsonl"
	headSuffix        = ".segment"
	indexSuffix       = ".index"
	tornSuffix        = ".torn"
	unsignedSuffix    = ".unsigned"
	unclaimedSuffix   = ".unclaimed"
	checkpointsSuffix = ".checkpoints"
	reserveSuffix     = ".reserve"
	sealedSuffix      = ".sealed"
	successorSuffix   = ".successor"
	lockSuffix        = ".jsonl.lock"

	seqDigits = 20
)

func (f Layout) Segment(first uint64) string { return f.path(first, activeSuffix) }

func (f Layout) Head(first uint64) string { return f.path(first, headSuffix) }

func (f Layout) Index(first uint64) string { return f.path(first, indexSuffix) }

// Torn is where the unfinished end of a segment is set aside, from an offset in it.
func (f Layout) Torn(first uint64, offset int64) string {
	return f.path(first, fmt.Sprintf("-%d%s", offset, tornSuffix))
}

// Unsigned is where the end of a sealed log is put that no checkpoint covers.
func (f Layout) Unsigned(first uint64, offset int64) string {
	return f.path(first, fmt.Sprintf("-%d%s", offset, unsignedSuffix))
}

// Unclaimed is where a file of a segment is put that nothing says to be held.
func Unclaimed(path string) string { return path + unclaimedSuffix }

func (f Layout) Checkpoints() string { return f.file(checkpointsSuffix) }

// Reserve is room on the disk for the record that the disk is full.
func (f Layout) Reserve() string { return f.file(reserveSuffix) }

// SealedDir holds the sealed logs of this one's node, a directory each, named by
// log id, with the files of a Copy: the mesh gives back what is missing of them.
func (f Layout) SealedDir() string { return f.file(sealedSuffix) }

// Successor is a log's successor until the log is sealed.
func (f Layout) Successor() string { return f.file(successorSuffix) }

// Lock is the file whose lock keeps a log to one process.
func (f Layout) Lock() string { return f.file(lockSuffix) }

func (f Layout) file(suffix string) string { return filepath.Join(f.Dir, f.Name+suffix) }

func (f Layout) path(first uint64, suffix string) string {
	return filepath.Join(f.Dir, fmt.Sprintf("%s-%0*d%s", f.Name, seqDigits, first, suffix))
}

// File is what a name in a log's directory says.
type File struct {
	Kind   Kind
	First  uint64 // of its segment
	Offset int64  // in its segment, of what was torn or is unsigned
}

// Parse says what a name in the log's directory stands for, false if it is not
// one of this log's files.
func (f Layout) Parse(name string) (File, bool) {
	rest, ok := strings.CutPrefix(name, f.Name)
	if !ok {
		return File{}, false
	}
	switch rest {
	case checkpointsSuffix:
		return File{Kind: KindCheckpoints}, true
	case reserveSuffix:
		return File{Kind: KindReserve}, true
	case sealedSuffix:
		return File{Kind: KindSealed}, true
	case successorSuffix:
		return File{Kind: KindSuccessor}, true
	case lockSuffix:
		return File{Kind: KindLock}, true
	}
	if len(rest) <= 1+seqDigits || rest[0] != '-' {
		return File{}, false
	}
	first, err := strconv.ParseUint(rest[1:1+seqDigits], 10, 64)
	if err != nil {
		return File{}, false
	}
	file, ok := parsePart(rest[1+seqDigits:])
	file.First = first
	return file, ok
}

// parsePart is Parse for what follows the seq in the name of a segment's file.
func parsePart(rest string) (File, bool) {
	switch rest {
	case activeSuffix:
		return File{Kind: KindSegment}, true
	case headSuffix:
		return File{Kind: KindHead}, true
	case indexSuffix:
		return File{Kind: KindIndex}, true
	case indexSuffix + spillSuffix:
		return File{Kind: KindNewIndex}, true
	case activeSuffix + unclaimedSuffix, headSuffix + unclaimedSuffix:
		return File{Kind: KindUnclaimed}, true
	}
	for suffix, kind := range map[string]Kind{tornSuffix: KindTorn, unsignedSuffix: KindUnsigned} {
		digits, ok := strings.CutSuffix(rest, suffix)
		if !ok || !strings.HasPrefix(digits, "-") {
			continue
		}
		offset, err := strconv.ParseInt(digits[1:], 10, 64)
		if err == nil && offset >= 0 && digits == fmt.Sprintf("-%d", offset) {
			return File{Kind: kind, Offset: offset}, true
		}
	}
	return File{}, false
}

// Owns says whether a name in the log's directory is one of this log's files.
func (f Layout) Owns(name string) bool {
	_, ok := f.Parse(name)
	return ok
}

// OfSegment says whether a file belongs to one segment.
func (f File) OfSegment() bool { return f.Kind < KindCheckpoints }
