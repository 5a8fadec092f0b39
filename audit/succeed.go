package audit

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// Succession is how a node goes on whose log is gone, or was put back from a
// backup, or whose last-signed state is: the log is signed no more. It is in the
// last-signed state from the decision on, until the successor is signed.
type Succession struct {
	Log    string      `json:"log"`  // id of the log that is gone on from, in hex
	Size   uint64      `json:"size"` // that was signed of it, as far as is known
	Root   merkle.Hash `json:"root"`
	Reason string      `json:"reason"`
	Since  uint64      `json:"since_unix_ms"`
	// Sealed is the directory that the files are put into, beside the log.
	Sealed string `json:"sealed"`
}

// SealedLogs are the logs that were sealed beside the log at path, by id, with
// their directories.
func SealedLogs(fsys disk.FS, path string) (map[merkle.Hash]string, error) {
	dir := segment.LayoutOf(path).SealedDir()
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	found := make(map[merkle.Hash]string)
	for _, e := range entries {
		if id, err := merkle.ParseLogID(e.Name()); err == nil {
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
	s := succession{o: o, fsys: o.FS, files: segment.LayoutOf(o.Path), peer: merkle.PeerID(o.Key.Public().(ed25519.PublicKey))}
	if err := disk.MkdirAll(s.fsys, s.files.Dir, 0o700); err != nil {
		return err
	}
	lock, err := o.takeLocks(s.files)
	if err != nil {
		return err
	}
	return errors.Join(s.run(why), lock.Close())
}

type succession struct {
	o     Options
	fsys  disk.FS
	files segment.Layout
	peer  string
	state SignedState
}

func (s *succession) run(why error) error {
	state, err := readSigned(s.fsys, s.o.SignedPath, s.peer)
	if err != nil && !errors.Is(err, ErrNoSignedState) {
		return err
	}
	s.state = state
	if err := removeTemps(s.o); err != nil {
		return err
	}
	if s.state.Pending == nil {
		if err := s.decide(why); err != nil {
			return err
		}
	}
	if s.state.Pending == nil { // nothing is there to go on from
		segs, err := segment.List(s.fsys, s.files)
		if err != nil || len(segs) > 0 {
			return err
		}
		if there, err := disk.Exists(s.fsys, s.o.Path); err != nil || there {
			return err // OpenOrCreate may adopt it
		}
		return createFirst(s.fsys, s.files, s.peer)
	}
	if done, err := s.state.Pending.installed(s.fsys, s.files); err != nil || done {
		return err
	}
	if there, err := disk.Exists(s.fsys, s.files.Successor()); err != nil {
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
	if old.Size() > 0 {
		standing = old.ID()
	}
	if last, _ := kept.Last(); standing != "" && (p.Log == "" || p.Log == standing && last.Size > p.Size) {
		p.Log, p.Size, p.Root = standing, last.Size, last.Root
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
	if there, err := disk.Exists(s.fsys, filepath.Join(s.files.SealedDir(), p.Sealed)); err != nil {
		return err
	} else if there { // put back once more
		p.Sealed = fmt.Sprintf("%s.%d", p.Sealed, p.Since)
	}
	s.state = SignedState{Peer: s.peer, Sealed: sealed, Pending: p}
	if p.Log == "" {
		s.o.Logger.Error("neither a log nor the last-signed state is there: a new log is begun; the mesh gives back what it has of an older one", slog.String("reason", p.Reason))
		s.state.Pending = nil
	}
	if err := disk.MkdirAll(s.fsys, filepath.Dir(s.o.SignedPath), 0o700); err != nil {
		return err
	}
	return writeSigned(s.fsys, s.o.SignedPath, s.state)
}

// load reads the log with those files as far as it is its own evidence.
func (s *succession) load(f segment.Layout) (*segment.Sequence, *segment.Checkpoints, error) {
	kept, err := segment.LoadCheckpoints(s.fsys, f.Checkpoints())
	if err != nil {
		return nil, nil, err
	}
	segs, err := segment.List(s.fsys, f)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	last, _ := kept.Last()
	if len(segs) == 0 && last.Size > 0 {
		return nil, nil, &segment.DamageError{File: f.Checkpoints(), Reason: fmt.Sprintf("states %d records, and there is no segment beside it: put the log back", last.Size)}
	}
	loaded, err := segment.Load(s.fsys, f, segs, kept, segment.Policy{
		Signed: last.Size,
		Ended: func(at segment.Ended) error {
			if at.Torn {
				return nil // sealed with the rest
			}
			return at.Err
		},
	})
	loaded.CloseIndex()
	return loaded.Sequence, kept, err
}

// write makes the successor's only segment, under a name that nobody reads.
func (s *succession) write() error {
	p := s.state.Pending
	id, err := merkle.ParseLogID(p.Log)
	if err != nil {
		return err
	}
	first, err := event.AppendLine(nil, &event.LogSucceeded{TSUnixMS: p.Since, Log: event.PartyID(id), Size: p.Size, Root: event.PartyID(p.Root), Reason: p.Reason})
	if err != nil {
		return err
	}
	old, kept, err := s.load(s.files)
	if err != nil {
		return err
	}
	last, _ := kept.Last()
	path := s.files.Successor()
	tmp := disk.TempName(path)
	if err := s.copyFrom(old, last.Size, first, tmp); err != nil {
		return err
	}
	if err := s.fsys.Rename(tmp, path); err != nil {
		return err
	}
	return s.fsys.SyncDir(s.files.Dir)
}

// copyFrom writes a file of what begins it and of a log's lines from a size on.
func (s *succession) copyFrom(c *segment.Sequence, from uint64, begin []byte, path string) error {
	f, err := s.fsys.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	buf := begin
	r := segment.NewReader(c, from)
	defer r.Close()
	for err == nil && r.Seq() < c.Size() {
		var rec segment.Record
		if rec, err = r.Next(); err == nil {
			buf = append(buf, rec.Ended()...)
		}
		if len(buf) >= merkle.MaxRunBytes && err == nil {
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
	dir := filepath.Join(s.files.SealedDir(), s.state.Pending.Sealed)
	sealed := segment.Layout{Dir: dir, Name: copyFileName}
	if err := disk.MkdirAll(s.fsys, dir, 0o700); err != nil {
		return err
	}
	entries, err := s.fsys.ReadDir(s.files.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		file, ok := s.files.Parse(e.Name())
		if !ok || !file.OfSegment() && file.Kind != segment.KindCheckpoints {
			continue
		}
		to := filepath.Join(dir, copyFileName+strings.TrimPrefix(e.Name(), s.files.Name))
		if there, err := disk.Exists(s.fsys, to); err != nil {
			return err
		} else if there && file.Kind == segment.KindHead {
			continue // the successor's, whose installing a crash ended
		} else if there && file.Kind != segment.KindIndex && file.Kind != segment.KindNewIndex {
			return fmt.Errorf("%s is sealed already, as %s: it was put back while the log was being sealed; move one of the two away", e.Name(), to)
		}
		if err := s.fsys.Rename(filepath.Join(s.files.Dir, e.Name()), to); err != nil {
			return err
		}
	}
	for _, d := range []string{dir, s.files.Dir} {
		if err := s.fsys.SyncDir(d); err != nil {
			return err
		}
	}
	return s.trim(sealed)
}

func (s *succession) trim(f segment.Layout) error {
	c, kept, err := s.load(f)
	if err != nil {
		return err
	}
	last, _ := kept.Last()
	segs := c.Segments()
	for i := len(segs) - 1; i >= 0; i-- { // the last first: a crash leaves a log without a hole
		seg := segs[i]
		if seg.First >= last.Size {
			if err := s.fsys.Rename(seg.Path, f.Unsigned(seg.First, 0)); err != nil {
				return err
			}
			if err := s.fsys.SyncDir(f.Dir); err != nil {
				return err
			}
			continue
		}
		_, offset, err := c.FrontierAt(last.Size)
		if err != nil {
			return err
		}
		for _, before := range segs[:i] {
			offset -= before.Bytes
		}
		if info, err := s.fsys.Stat(seg.Path); err != nil || info.Size() == offset {
			return err
		}
		if _, err := disk.CopyFrom(s.fsys, seg.Path, offset, f.Unsigned(seg.First, offset)); err != nil {
			return err
		}
		if err := s.fsys.SyncDir(f.Dir); err != nil {
			return err
		}
		return disk.Cut(s.fsys, seg.Path, offset)
	}
	return nil
}

// install makes the successor the log.
func (s *succession) install() error {
	if err := segment.WriteHead(s.fsys, s.files.Head(0), segment.Head{Peer: s.peer, Frontier: []merkle.Hash{}}); err != nil {
		return err
	}
	// The path still leads to the old log's last segment, which is sealed.
	if err := s.fsys.Remove(s.o.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Else a crash could leave the old path beside the successor, as if another
	// hand had put a file there.
	if err := s.fsys.SyncDir(s.files.Dir); err != nil {
		return err
	}
	if err := s.fsys.Rename(s.files.Successor(), s.files.Segment(0)); err != nil {
		return err
	}
	p := s.state.Pending
	s.o.Logger.Error("this node's log is signed no more; it goes on in a successor, and the mesh gives back what is missing of the old one",
		slog.String("old log", p.Log), slog.Uint64("signed", p.Size), slog.String("reason", p.Reason),
		slog.String("sealed", filepath.Join(s.files.SealedDir(), p.Sealed)))
	return s.fsys.SyncDir(s.files.Dir)
}

// installed says whether the log that stands there is the successor: it begins
// with the record that says so.
func (p *Succession) installed(fsys disk.FS, f segment.Layout) (bool, error) {
	segs, err := segment.List(fsys, f)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(segs) == 0 {
		return false, nil
	}
	if err != nil || segs[0].First > 0 {
		return false, err
	}
	file, err := fsys.OpenFile(segs[0].Path, os.O_RDONLY, 0)
	if err != nil {
		return false, err
	}
	defer file.Close()
	raw := make([]byte, merkle.MaxLine)
	n, _ := file.ReadAt(raw, 0) // short, for most files
	end := bytes.IndexByte(raw[:n], '\n')
	return end >= 0 && p.begunBy(raw[:end]), nil
}

// begunBy says whether a log's first line is that of the successor.
func (p *Succession) begunBy(line []byte) bool {
	e, err := event.Decode(line)
	if err != nil {
		return false
	}
	first, ok := e.(*event.LogSucceeded)
	return ok && (merkle.LogName{ID: merkle.Hash(first.Log)}).IDString() == p.Log && first.TSUnixMS == p.Since
}
