package disk

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What is to replace a file is written under a name beside it that nobody else
// has: <name>.<16 hex digits>.tmp. A crash leaves it there; RemoveTemps removes it
// when the file's owner next opens.

const (
	tempSuffix = ".tmp"
	tempDigits = 16
	tempTries  = 10
)

// TempName is a new name beside path.
func TempName(path string) string {
	var raw [tempDigits / 2]byte
	rand.Read(raw[:]) // never fails
	return path + "." + hex.EncodeToString(raw[:]) + tempSuffix
}

// TempOf is the name of the file that a temporary name was made for, false if
// name is none.
func TempOf(name string) (string, bool) {
	rest, ok := strings.CutSuffix(name, tempSuffix)
	if !ok || len(rest) < tempDigits+2 {
		return "", false
	}
	base, digits := rest[:len(rest)-tempDigits-1], rest[len(rest)-tempDigits:]
	if rest[len(base)] != '.' || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", false
	}
	return base, true
}

// CreateTemp makes a new file beside path, which nobody else has open. The caller
// renames it, or removes it.
func CreateTemp(fsys FS, path string, perm fs.FileMode) (f File, name string, err error) {
	for range tempTries {
		name = TempName(path)
		f, err = fsys.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
		if !errors.Is(err, fs.ErrExist) {
			return f, name, err
		}
	}
	return nil, "", fmt.Errorf("make a temporary file beside %s: %w", path, err)
}

// RemoveTemps removes what crashes left of the temporary files in a directory that
// were made for a name that ours knows. Whoever calls it has the lock that keeps
// others from making such files. A directory that is not there has none.
func RemoveTemps(fsys FS, dir string, ours func(name string) bool) error {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		base, ok := TempOf(e.Name())
		if !ok || !ours(base) || e.IsDir() {
			continue
		}
		if err := fsys.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what a crash left: %w", err)
		}
	}
	return nil
}
