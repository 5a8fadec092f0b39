package main

import (
	"fmt"
	"os"
	"sync"
)

// output is standard output. It remembers the first write that failed, so that
// no command ends well whose answer did not arrive.
type output struct {
	file *os.File

	mu  sync.Mutex
	err error // guarded by mu
}

// Write is that of io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.file.Write(p)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.err == nil {
			o.err = err
		}
	}
	return n, err
}

// failed is the first error of a write, nil if all succeeded.
func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// delivered is the exit code of a command that ended with a code: another than
// exitOK, with a message, if what it printed did not arrive.
func (o *output) delivered(code int, stderr *os.File) int {
	err := o.failed()
	if err == nil || code != exitOK {
		return code
	}
	fmt.Fprintln(stderr, "auditmesh: what was to be printed did not arrive whole:", printable(err.Error()))
	return exitFailed
}
