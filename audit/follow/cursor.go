package follow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"auditmesh/audit/disk"
	"auditmesh/audit/event"
)

// followCursor is the content of the cursor's file.
type followCursor struct {
	Version int    `json:"version"`
	Path    string `json:"path"`
	place
	Log string `json:"log"` // id of the log that has the lines before
	Seq uint64 `json:"seq"` // before which they are
}

// resume finds the file that the cursor is in. Without a cursor that is the file
// at the path, from its beginning.
func (f *Follower) resume(ctx context.Context) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	name, _ := f.log.Name()
	f.seq = f.log.First()
	if c.Log == name.IDString() {
		f.seq = max(f.seq, c.Seq)
	}
	if c.Offset > 0 {
		found, err := f.src.find(c.place)
		if err != nil {
			return err
		}
		if found {
			f.started, f.confirmed = true, c.Offset
			return nil
		}
	}
	err = f.src.open(f.opts.Path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && c.Offset > 0 {
		err = f.gap(ctx, &event.FollowGap{Path: f.opts.Path, Offset: uint64(c.Offset), Reason: goneReason})
		f.seq = f.log.First() // a file that a power cut made shorter is in the log already
	}
	if err != nil {
		f.src.close()
		return err
	}
	f.started, f.confirmed = true, 0
	return nil
}

func (f *Follower) load() (c followCursor, err error) {
	dir, base := filepath.Split(f.opts.CursorPath)
	if err := disk.RemoveTemps(f.opts.FS, filepath.Clean(dir), func(name string) bool { return name == base }); err != nil {
		f.opts.Logger.Warn("what a crash left beside the cursor of following stays there", slog.Any("error", err))
	}
	raw, err := disk.ReadFile(f.opts.FS, f.opts.CursorPath, maxCursor)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(raw, &c); err != nil || c.Version != cursorVersion || c.Offset < 0 || c.Path != f.opts.Path {
		// It is derived: from the beginning, the log tells what it has.
		why := "it is of another path or version"
		if err != nil {
			why = err.Error()
		}
		f.opts.Logger.Warn("the cursor of following cannot be used: the log is compared with the file from the beginning", slog.String("file", f.opts.CursorPath), slog.String("reason", why))
		return followCursor{}, nil
	}
	return c, nil
}

// save writes the cursor. One that cannot be written is older, and no worse.
func (f *Follower) save() {
	if f.src.file == nil || !f.certain || f.confirmed == 0 || !f.unsaved {
		return
	}
	now, err := placeAt(f.src.file, f.confirmed)
	name, _ := f.log.Name()
	if err == nil {
		c := followCursor{cursorVersion, f.opts.Path, now, name.IDString(), f.seq}
		if raw, jsonErr := json.Marshal(c); jsonErr != nil {
			err = jsonErr
		} else {
			err = disk.WriteFile(f.opts.FS, f.opts.CursorPath, append(raw, '\n'), 0o600)
		}
	}
	if err != nil {
		f.opts.Logger.Warn("the cursor of following is not written", slog.Any("error", err))
	}
	f.saved, f.unsaved = f.opts.Now(), err != nil
}

const goneReason = "the file that was followed up to here is gone: what was written to it after is not in this log"

// gap records that lines are missing, unless that was done before a crash.
func (f *Follower) gap(ctx context.Context, g *event.FollowGap) error {
	r := f.log.Reader(f.seq)
	defer r.Close()
	for end := f.log.Size(); r.Seq() < end; {
		rec, err := r.Next()
		if err != nil {
			return err
		}
		if e, err := event.Decode(rec.Line); err == nil {
			if old, ok := e.(*event.FollowGap); ok && old.Path == g.Path && old.Offset == g.Offset && old.Reason == g.Reason {
				return nil
			}
		}
	}
	g.TSUnixMS = f.ms()
	f.opts.Logger.Warn("lines of the followed file are missing", slog.String("path", g.Path), slog.String("reason", g.Reason))
	if _, err := f.log.Append(ctx, g); err != nil {
		return fmt.Errorf("record the gap: %w", err)
	}
	f.mu.Lock()
	f.status.Gaps++
	f.mu.Unlock()
	return nil
}
