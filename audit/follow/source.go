package follow

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
)

// source reads the lines of a JSONL file that another program writes, over its
// rotation: rename and create, also several times while nobody looked, and
// copytruncate. It belongs to one goroutine.
type source struct {
	fsys disk.FS
	path string // where the other program writes
	now  func() time.Time
	// ours says whether a path is that of a file of the log that is written.
	ours func(path string) bool

	file   disk.File
	name   string      // of the file that is open: path, or a rotated one
	info   fs.FileInfo // of the file that is open
	offset int64       // of the first line that was not taken
	buf    []byte      // what was read from offset on
	before []byte      // the end of the last line that was taken
	quiet  time.Time   // since when a file that is no longer at the path has not grown
}

// place is a place in a file, known by what stands before it: files are renamed
// and copied, and inodes are used again.
type place struct {
	Offset int64       `json:"offset"`
	Head   merkle.Hash `json:"head"` // SHA-256 of the first printBytes before Offset
	Tail   merkle.Hash `json:"tail"` // and of the last
}

const (
	printBytes  = 4096
	printTail   = 256
	sourceChunk = 256 << 10
	// rotatedQuiet is how long a renamed file must not have grown to be left: its
	// writer may have opened it just before.
	rotatedQuiet = 2 * time.Second
)

// line is the next line of a followed file, or, if long, that there is one longer
// than a record may be.
type line struct {
	text []byte // without its newline; valid until the next call
	size int64  // what it takes in the file
	long bool
	hash merkle.Hash // of a long line
}

func (s *source) close() {
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.buf = nil, nil
}

// open goes on with a file from an offset.
func (s *source) open(name string, offset int64) error {
	s.close()
	f, err := s.fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.file, s.name, s.info, s.quiet = f, name, info, time.Time{}
	s.seek(offset)
	return nil
}

func (s *source) seek(offset int64) { s.offset, s.buf, s.before = offset, s.buf[:0], nil }

// placeAt is the place of an offset in a file.
func placeAt(f disk.File, offset int64) (place, error) {
	n := min(offset, printBytes)
	p := place{Offset: offset}
	for _, part := range []struct {
		at  int64
		sum *merkle.Hash
	}{{0, &p.Head}, {offset - n, &p.Tail}} {
		raw := make([]byte, n)
		if k, err := f.ReadAt(raw, part.at); int64(k) < n {
			return p, fmt.Errorf("read %d bytes at %d: %w", n, part.at, err)
		}
		*part.sum = sha256.Sum256(raw)
	}
	return p, nil
}

// find opens the file that has the place, wherever it is by now, and says whether
// there is one.
func (s *source) find(p place) (bool, error) {
	rotated, err := s.rotated()
	if err != nil {
		return false, err
	}
	slices.Reverse(rotated)
	names := []string{s.path}
	for _, r := range rotated {
		names = append(names, r.name)
	}
	for _, name := range names {
		if err := s.open(name, p.Offset); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return false, err
		}
		if got, err := placeAt(s.file, p.Offset); err == nil && got == p {
			return true, nil
		}
	}
	s.close()
	return false, nil
}

type rotatedFile struct {
	name string
	info fs.FileInfo
}

// rotatedSuffix is what logrotate and the like put after a file's name: numbers and
// dates, .1 and -20261124 and .2026-11-24-10.
var rotatedSuffix = regexp.MustCompile(`^[.-][0-9]+([.-][0-9]+)*$`)

// rotated are the files that logrotate and the like made of the path, oldest
// first: path.1, path-20261124. Compressed ones are not read, nor are files of the
// log that is written, whatever their names.
func (s *source) rotated() (list []rotatedFile, err error) {
	dir, base := filepath.Split(s.path)
	entries, err := s.fsys.ReadDir(filepath.Clean(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		suffix, ok := strings.CutPrefix(e.Name(), base)
		name := filepath.Join(dir, e.Name())
		if !ok || !rotatedSuffix.MatchString(suffix) || s.ours != nil && s.ours(name) {
			continue
		}
		if info, err := s.fsys.Stat(name); err == nil && info.Mode().IsRegular() {
			list = append(list, rotatedFile{name, info})
		}
	}
	slices.SortStableFunc(list, func(a, b rotatedFile) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	return list, nil
}

// peek returns the next line. False means that there is none now.
func (s *source) peek() (line, bool, error) {
	for {
		i := bytes.IndexByte(s.buf, '\n')
		if i >= merkle.MaxLine || i < 0 && len(s.buf) >= merkle.MaxLine {
			return s.peekLong()
		}
		if i >= 0 {
			return line{text: s.buf[:i], size: int64(i) + 1}, true, nil
		}
		n, err := s.fill()
		if err != nil {
			return line{}, false, err
		}
		if n == 0 {
			// A file that is left ends its last line by its end.
			if len(s.buf) > 0 && s.left() {
				return line{text: s.buf, size: int64(len(s.buf))}, true, nil
			}
			return line{}, false, nil
		}
	}
}

// fill reads what follows the buffer.
func (s *source) fill() (int, error) {
	at := len(s.buf)
	if at == 0 && len(s.before) > 0 {
		// Cut and grown again since: what follows is not what followed.
		got := make([]byte, len(s.before))
		if _, err := s.file.ReadAt(got, s.offset-int64(len(got))); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if !bytes.Equal(got, s.before) {
			return 0, errCut
		}
	}
	s.buf = slices.Grow(s.buf, sourceChunk)
	n, err := s.file.ReadAt(s.buf[at:at+sourceChunk], s.offset+int64(at))
	s.buf = s.buf[:at+n]
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// peekLong measures and hashes a line without holding it.
func (s *source) peekLong() (line, bool, error) {
	h := sha256.New()
	chunk := make([]byte, sourceChunk)
	for at := s.offset; ; {
		n, err := s.file.ReadAt(chunk, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return line{}, false, err
		}
		end := bytes.IndexByte(chunk[:n], '\n')
		if end < 0 && n > 0 {
			h.Write(chunk[:n])
			at += int64(n)
			continue
		}
		if end < 0 && !s.left() {
			return line{}, false, nil
		}
		l := line{long: true, size: at - s.offset}
		if end >= 0 {
			h.Write(chunk[:end])
			l.size += int64(end) + 1
		}
		h.Sum(l.hash[:0])
		return l, true, nil
	}
}

// take goes on behind the line that peek returned.
func (s *source) take(l line) {
	s.offset += l.size
	s.before = append(s.before[:0], l.text[max(0, len(l.text)-printTail):]...)
	if int64(len(l.text)) < l.size && !l.long {
		s.before = append(s.before, '\n')
	}
	s.buf = s.buf[min(l.size, int64(len(s.buf))):]
	if len(s.buf) == 0 || l.long {
		s.buf = nil
	}
}

// left says whether the writer has left the file for another.
func (s *source) left() bool { return !s.quiet.IsZero() && s.now().Sub(s.quiet) >= rotatedQuiet }

// current says whether the open file is the one at the path, as last looked.
func (s *source) current() bool { return s.name == s.path && s.quiet.IsZero() }

// errCut means that the file at the path no longer has what was read from it.
var errCut = errors.New("the file was cut")

// look finds out, at the end of the open file, what has become of it, and says
// whether reading goes on in another. errCut means that the place is to be found
// anew.
func (s *source) look() (moved bool, err error) {
	info, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	grown := info.Size() != s.info.Size()
	s.info = info
	if info.Size() < s.offset {
		return false, errCut
	}
	at, err := s.fsys.Stat(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err == nil && s.fsys.SameFile(at, info) {
		s.quiet = time.Time{}
		return false, nil
	}
	if grown || s.quiet.IsZero() {
		s.quiet = s.now()
	}
	if !s.left() || info.Size() > s.offset {
		return false, nil
	}
	return s.next()
}

// next opens the file that the writer went on with after the open one.
func (s *source) next() (bool, error) {
	rotated, err := s.rotated()
	if err != nil {
		return false, err
	}
	name := s.path
	for _, r := range rotated {
		if r.info.ModTime().After(s.info.ModTime()) && !s.fsys.SameFile(r.info, s.info) {
			name = r.name
			break
		}
	}
	err = s.open(name, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // not written yet
	}
	return err == nil, err
}
