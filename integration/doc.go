// Package integration tests the whole by real processes: the binary, its files
// and its sockets, with faults that are made from outside. The tests run as root
// where they need strace; where it is missing they fail, and say what to install.
package integration
