//go:build !linux

package disk

import (
	"errors"
	"fmt"
)

// A log is written on Linux alone, where it is known what a sync means. Elsewhere
// logs are read and verified; what would write one is refused.
var errReadOnly = fmt.Errorf("a log is written on Linux alone, and only read here: %w", errors.ErrUnsupported)

// Sync is refused.
func (f osFile) Sync() error { return errReadOnly }

// Free is not known here.
func (OS) Free(string) (uint64, error) { return 0, errReadOnly }

// Writing cannot be told here.
func (OS) Writing(string) (bool, error) { return false, errReadOnly }

// Lock is refused.
func (OS) Lock(string) (Lock, error) { return nil, errReadOnly }
