package api

import (
	"io/fs"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// A unix socket's address has at most 107 bytes, a data directory's path may
// have more. So the directory is opened, and the socket addressed through the
// descriptor: /proc/self/fd/<n>/api.sock.

func socketAddress(path string) (addr string, free func(), err error) {
	dir, base := filepath.Split(path)
	fd, err := unix.Open(filepath.Clean(dir), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(fd), base), func() { unix.Close(fd) }, nil
}
