package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
)

// Listen makes the socket at path, for its owner alone. A socket that a node
// which is gone left there is replaced; one that answers is not.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if c, err := Dial(ctx, path); err == nil {
		c.Close()
		return nil, fmt.Errorf("a node answers at %s already", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	addr, free, err := socketAddress(path)
	if err != nil {
		return nil, err
	}
	defer free()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its address dies with the descriptor
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Dial connects to the socket at path.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	addr, free, err := socketAddress(path)
	if err != nil {
		return nil, err
	}
	defer free()
	var d net.Dialer
	return d.DialContext(ctx, "unix", addr)
}
