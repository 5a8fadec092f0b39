package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// CopyFrom copies a file from an offset on into a new file, synced. The caller
// syncs the directory.
func CopyFrom(fsys FS, from string, offset int64, to string) (int64, error) {
	src, err := fsys.OpenFile(from, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	dst, err := fsys.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(struct{ io.Writer }{dst}, io.NewSectionReader(src, offset, 1<<62))
	if err == nil {
		err = dst.Sync()
	}
	if err := errors.Join(err, dst.Close()); err != nil {
		return n, fmt.Errorf("copy %s from byte %d to %s: %w", from, offset, to, err)
	}
	return n, nil
}

// Cut ends a file at size, durable.
func Cut(fsys FS, path string, size int64) error {
	f, err := fsys.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// SamePrefix says whether what stands in one file from an offset on is how the
// other file begins.
func SamePrefix(fsys FS, path string, offset int64, of string) (bool, error) {
	a, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := fsys.OpenFile(of, os.O_RDONLY, 0)
	if err != nil {
		return false, err
	}
	defer b.Close()
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; at += int64(len(bufA)) {
		n, errA := a.ReadAt(bufA, offset+at)
		m, errB := b.ReadAt(bufB[:n], at)
		if m < n || string(bufA[:n]) != string(bufB[:n]) {
			if errB != nil && !errors.Is(errB, io.EOF) {
				return false, errB
			}
			return false, nil
		}
		if errors.Is(errA, io.EOF) {
			return true, nil
		}
		if errA != nil {
			return false, errA
		}
	}
}

// Exists says whether a file or directory stands at path.
func Exists(fsys FS, path string) (bool, error) {
	_, err := fsys.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
