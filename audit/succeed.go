package audit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"auditmesh/internal/durable"
)

// Succession is how a node goes on whose log is gone, or was put back from a
// backup, or whose last-signed state is: the log is signed no more. It is in the
// last-signed state from the decision on, until the successor is signed.
type Succession struct {
	Log    string `json:"log"`  // id of the log that is gone on from, in hex
	Size   uint64 `json:"size"` // that was signed of it, as far as is known
	Root   Hash   `json:"root"`
	Reason string `json:"reason"`
	Since  uint64 `json:"since_unix_ms"`
	// Sealed is the directory that the files are put into, beside the log.
	Sealed string `json:"sealed"`
}

// sealedDir holds the sealed logs of this one's node, a directory each, named by
// log id, with the files of a Copy: the mesh gives back what is missing of them.
func (f files) sealedDir() string { return filepath.Join(f.dir, f.name+".sealed") }
func (f files) unsigned(first uint64, offset int64) string {
	return f.path(first, fmt.Sprintf("-%d.unsigned", offset))
}
func (f files) successor() string { return filepath.Join(f.dir, f.name+".successor") }

// SealedLogs are the logs that were sealed beside the log at path, by id, with
// their directories.
func SealedLogs(fsys durable.FS, path string) (map[Hash]string, error) {
	dir := filesOf(path).sealedDir()
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	found := make(map[Hash]string)
	for _, e := range entries {
		if id, err := ParseLogID(e.Name()); err == nil {
			found[id] = filepath.Join(dir, e.Name())
		}
	}
	return found, err
}

// Succeed seals the log at o.Path, which Open refused with ErrBehind or
// ErrNoSignedState, and puts a successor in its place, which Open then opens. The
// successor's first record says from which log, size and root it goes on; after it
// come the lines that no kept checkpoint of the old one covers: the mesh may not
// have them. Of those some may so be twice in the mesh: where the log came from a
// backup, and its peers hold them.
//
// Damage is refused as Open refuses it (*DamageError). A crash at any point leaves
// what the next call goes on with.
func Succeed(o Options, why error) error {
	o.fill()
	s := succession{o: o, fsys: o.FS, files: filesOf(o.Path), peer: PeerID(o.Key.Public().(ed25519.PublicKey))}
	if err := s.fsys.MkdirAll(s.files.dir, 0o700); err != nil {
		return err
	}
	lock, err := s.fsys.Lock(s.files.lock())
	if err != nil {
		return err
	}
	return errors.Join(s.run(why), lock.Close())
}

type succession struct {
	o     Options
	fsys  durable.FS
	files files
	peer  string
	state SignedState
}

func (s *succession) run(why error) error {
	state, err := readSigned(s.fsys, s.o.SignedPath, s.peer)
	if err != nil && !errors.Is(err, ErrNoSignedState) {
		return err
	}
	s.state = state
	if s.state.Pending == nil {
		if err := s.decide(why); err != nil {
			return err
		}
	}
	if s.state.Pending == nil {
		return nil
	}
	if done, err := s.state.Pending.installed(s.fsys, s.files); err != nil || done {
		return err
	}
	if there, err := exists(s.fsys, s.files.successor()); err != nil {
		return err
	} else if !there {
		if err := s.write(); err != nil {
			return fmt.Errorf("write the successor: %w", err)
		}
	}
	if err := s.seal(); err != nil {
		return fmt.Errorf("seal the log: %w", err)
	}
	return s.install()
}

// decide writes into the last-signed state what is going to be done: from here
// on nothing of the old log is ever signed.
func (s *succession) decide(why error) error {
	old, kept, err := s.load(s.files)
	if err != nil {
		return err
	}
	p := &Succession{Log: s.state.Log, Size: s.state.Size, Root: s.state.Root, Reason: why.Error(), Since: uint64(s.o.Now().UnixMilli())}
	standing := ""
	if old.size() > 0 {
		standing = old.idString()
	}
	if last, _ := kept.last(); standing != "" && (p.Log == "" || p.Log == standing && last.size > p.Size) {
		p.Log, p.Size, p.Root = standing, last.size, last.root
	}
	sealed := s.state.Sealed
	for _, id := range []string{p.Log, standing} {
		if id != "" && !slices.Contains(sealed, id) {
			sealed = append(sealed, id)
		}
	}
	p.Sealed = standing
	if p.Sealed == "" {
		p.Sealed = "empty"
	}
	if there, err := exists(s.fsys, filepath.Join(s.files.sealedDir(), p.Sealed)); err != nil {
		return err
	} else if there { // put back once more
		p.Sealed = fmt.Sprintf("%s.%d", p.Sealed, p.Since)
	}
	s.state = SignedState{Peer: s.peer, Sealed: sealed, Pending: p}
	if p.Log == "" {
		s.o.Logger.Error("neither a log nor the last-signed state is there: a new log is begun; the mesh gives back what it has of an older one", zap.String("reason", p.Reason))
		s.state.Pending = nil
	}
	if err := s.fsys.MkdirAll(filepath.Dir(s.o.SignedPath), 0o700); err != nil {
		return err
	}
	return writeSigned(s.fsys, s.o.SignedPath, s.state)
}

// load reads the log with those files as far as it is its own evidence.
func (s *succession) load(f files) (*chain, *anchors, error) {
	c := &chain{fsys: s.fsys, files: f}
	kept, err := loadAnchors(s.fsys, f.checkpoints())
	if err != nil {
		return nil, nil, err
	}
	segs, err := listSegments(s.fsys, f)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	last, _ := kept.last()
	if len(segs) == 0 && last.size > 0 {
		return nil, nil, &DamageError{File: f.checkpoints(), Reason: fmt.Sprintf("states %d records, and there is no segment beside it: put the log back", last.size)}
	}
	ld, err := readChain(c, kept, last.size, func(ld *loader) error {
		for i, seg := range segs {
			if err := ld.head(seg, i == 0); err != nil {
				return err
			}
			until := uint64(noLimit)
			if i+1 < len(segs) {
				until = segs[i+1].first
			}
			end, err := ld.load(seg, until)
			if i+1 == len(segs) && (errors.Is(err, errUnfinished) || errors.Is(err, errZeros)) && c.size() >= last.size {
				err = nil // sealed with the rest
			}
			if err != nil {
				return located(err, seg, end)
			}
		}
		return nil
	})
	if err == nil {
		err = ld.complete()
	}
	c.closeIndex()
	return c, kept, err
}

// write makes the successor's only segment, under a name that nobody reads.
func (s *succession) write() error {
	p := s.state.Pending
	id, err := ParseLogID(p.Log)
	if err != nil {
		return err
	}
	first, err := AppendLine(nil, &LogSucceeded{p.Since, PartyID(id), p.Size, PartyID(p.Root), p.Reason})
	if err != nil {
		return err
	}
	old, kept, err := s.load(s.files)
	if err != nil {
		return err
	}
	last, _ := kept.last()
	path := s.files.successor()
	if err := s.copyFrom(old, last.size, first, path+".tmp"); err != nil {
		return err
	}
	if err := s.fsys.Rename(path+".tmp", path); err != nil {
		return err
	}
	return s.fsys.SyncDir(s.files.dir)
}

// copyFrom writes a file of what begins it and of a log's lines from a size on.
func (s *succession) copyFrom(c *chain, from uint64, begin []byte, path string) error {
	f, err := s.fsys.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	buf := begin
	r := newReader(c, from)
	defer r.Close()
	for err == nil && r.Seq() < c.size() {
		var rec Record
		if rec, err = r.Next(); err == nil {
			buf = append(buf, rec.ended()...)
		}
		if len(buf) >= runBytes && err == nil {
			_, err = f.Write(buf)
			buf = buf[:0]
		}
	}
	if err == nil {
		_, err = f.Write(buf)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// seal moves the old log's files, and takes from the sealed log what no
// checkpoint covers, into a file of its own: what is left is a Copy's.
func (s *succession) seal() error {
	root, dir := s.files.sealedDir(), filepath.Join(s.files.sealedDir(), s.state.Pending.Sealed)
	if err := s.fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := s.fsys.ReadDir(s.files.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), s.files.name)
		if !ok || rest != ".checkpoints" && !strings.HasPrefix(rest, "-") {
			continue
		}
		if err := s.fsys.Rename(filepath.Join(s.files.dir, e.Name()), filepath.Join(dir, copyFileName+rest)); err != nil {
			return err
		}
	}
	for _, d := range []string{dir, root, s.files.dir} {
		if err := s.fsys.SyncDir(d); err != nil {
			return err
		}
	}
	return s.trim(files{dir: dir, name: copyFileName})
}

func (s *succession) trim(f files) error {
	c, kept, err := s.load(f)
	if err != nil {
		return err
	}
	last, _ := kept.last()
	segs := c.segments()
	for i := len(segs) - 1; i >= 0; i-- { // the last first: a crash leaves a chain
		seg := segs[i]
		if seg.first >= last.size {
			if err := s.fsys.Rename(seg.path, f.unsigned(seg.first, 0)); err != nil {
				return err
			}
			if err := s.fsys.SyncDir(f.dir); err != nil {
				return err
			}
			continue
		}
		_, offset, err := c.frontierAt(last.size)
		if err != nil {
			return err
		}
		for _, before := range segs[:i] {
			offset -= before.bytes
		}
		if info, err := s.fsys.Stat(seg.path); err != nil || info.Size() == offset {
			return err
		}
		if _, err := copyBytes(s.fsys, seg.path, offset, f.unsigned(seg.first, offset)); err != nil {
			return err
		}
		if err := s.fsys.SyncDir(f.dir); err != nil {
			return err
		}
		return cut(s.fsys, seg.path, offset)
	}
	return nil
}

// install makes the successor the log.
func (s *succession) install() error {
	if err := writeHead(s.fsys, s.files.head(0), segmentHead{Peer: s.peer, Frontier: []Hash{}}); err != nil {
		return err
	}
	// The path still leads to the old log's last segment, which is sealed.
	if err := s.fsys.Remove(s.o.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.fsys.Rename(s.files.successor(), s.files.segment(0)); err != nil {
		return err
	}
	p := s.state.Pending
	s.o.Logger.Error("this node's log is signed no more; it goes on in a successor, and the mesh gives back what is missing of the old one",
		zap.String("old log", p.Log), zap.Uint64("signed", p.Size), zap.String("reason", p.Reason),
		zap.String("sealed", filepath.Join(s.files.sealedDir(), p.Sealed)))
	return s.fsys.SyncDir(s.files.dir)
}

// installed says whether the log that stands there is the successor: it begins
// with the record that says so.
func (p *Succession) installed(fsys durable.FS, f files) (bool, error) {
	segs, err := listSegments(fsys, f)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(segs) == 0 {
		return false, nil
	}
	if err != nil || segs[0].first > 0 {
		return false, err
	}
	file, err := fsys.OpenFile(segs[0].path, os.O_RDONLY, 0)
	if err != nil {
		return false, err
	}
	defer file.Close()
	raw := make([]byte, MaxLine)
	n, _ := file.ReadAt(raw, 0) // short, for most files
	end := bytes.IndexByte(raw[:n], '\n')
	return end >= 0 && p.begins(raw[:end]), nil
}

// begins says whether a log's first line is that of the successor.
func (p *Succession) begins(line []byte) bool {
	e, err := Decode(line)
	if err != nil {
		return false
	}
	first, ok := e.(*LogSucceeded)
	return ok && (LogName{ID: Hash(first.Log)}).IDString() == p.Log && first.TSUnixMS == p.Since
}
