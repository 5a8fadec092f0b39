package audit

import (
	"errors"
	"path/filepath"

	"auditmesh/audit/disk"
	"auditmesh/audit/segment"
)

// takeLocks takes what keeps a log to one process: the lock of the last-signed
// state, since it tells of one log whatever path that stands at, and the log's own.
// A state whose directory is not there yet has none.
func (o Options) takeLocks(files segment.Layout) (disk.Lock, error) {
	there, err := disk.Exists(o.FS, filepath.Dir(o.SignedPath))
	if err != nil {
		return nil, err
	}
	var both locks
	if there {
		if both.state, err = o.FS.Lock(o.SignedPath + ".lock"); err != nil {
			return nil, err
		}
	}
	if both.log, err = o.FS.Lock(files.Lock()); err != nil {
		if both.state != nil {
			err = errors.Join(err, both.state.Release())
		}
		return nil, err
	}
	return both, nil
}

// locks are the two of a log. The log's own says whether it was closed.
type locks struct{ state, log disk.Lock }

func (l locks) Release() error {
	err := l.log.Release()
	if l.state != nil {
		err = errors.Join(err, l.state.Release())
	}
	return err
}

func (l locks) Close() error {
	err := l.log.Close()
	if l.state != nil {
		err = errors.Join(err, l.state.Close())
	}
	return err
}
