package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sys/unix"

	"auditmesh/audit/disk"
	"auditmesh/audit/segment"
	"auditmesh/internal/api"
)

// Findings is what Probe found. A problem keeps the node, or a part of it, from
// working; a warning is for somebody to judge.
type Findings struct {
	Node     string   `json:"node"` // peer id; empty: there is no identity yet
	Problems []string `json:"problems"`
	Warnings []string `json:"warnings"`
}

func (f *Findings) problem(err error) {
	if err != nil {
		f.Problems = append(f.Problems, err.Error())
	}
}

func (f *Findings) warn(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

// Probe tries on this machine what a configuration that Check allows needs, and
// changes nothing: it makes no file, and frees each address at once.
func Probe(ctx context.Context, c Config) Findings {
	f := Findings{Problems: []string{}, Warnings: []string{}}
	f.identity(c)
	f.places(c)
	f.disk(c)
	if c.AuditTasklistID == "" {
		return f
	}
	f.problem(checkTasklist(disk.OS{}, c))
	f.membership(c)
	if conn, err := api.Dial(ctx, c.SocketPath()); err == nil {
		conn.Close() // the node that runs has the addresses
		return f
	}
	for _, addr := range c.Listen {
		if err := tryListen(ctx, addr); err != nil {
			f.problem(fmt.Errorf("listen address %q: it cannot be listened on: %w; the node runs without it, and tries again", addr, err))
		}
	}
	return f
}

// identity looks at the key, and at the state that belongs to it.
func (f *Findings) identity(c Config) {
	id, err := LoadIdentity(c)
	if errors.Is(err, ErrNoIdentity) {
		f.problem(nothingSigned(disk.OS{}, c))
		return
	}
	if err != nil {
		f.problem(err)
		return
	}
	f.Node = id.Peer
	switch s, there, err := signedState(disk.OS{}, c); {
	case err != nil:
		f.problem(fmt.Errorf("the last-signed state %s cannot be read: %w", c.SignedPath(), err))
	case !there:
		f.warn("the last-signed state %s is gone: the log is given up for a successor at the next start; put it back if you can", c.SignedPath())
	case s.Peer != id.Peer:
		f.problem(fmt.Errorf("%s is the last-signed state of %s, and this node is %s: put back the key or the state that belongs to the other", c.SignedPath(), s.Peer, id.Peer))
	}
}

// places looks whether files can be made where they are to be.
func (f *Findings) places(c Config) {
	dirs := []string{c.DataDir, c.stateDir(), c.viewDir(), c.copiesDir(), c.evidenceDir()}
	if path := c.LogPath(); path != "" {
		dirs = append(dirs, filepath.Dir(path))
		f.problem(regular("audit_log_path", path, unix.R_OK|unix.W_OK))
		segments, err := segment.List(disk.OS{}, segment.LayoutOf(path))
		if info, statErr := os.Stat(path); err == nil && len(segments) == 0 && statErr == nil && info.Size() > 0 {
			f.warn("audit_log_path: the file %s stands there already (%d bytes): the node takes it over as its log, and the mesh sees its lines", path, info.Size())
		}
	}
	seen := make(map[string]bool)
	for _, dir := range dirs {
		if err := usableDir(dir); err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			f.problem(err)
		}
	}
	if path := c.FollowPath(); path != "" {
		f.problem(regular("audit_follow_path", path, unix.R_OK))
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			f.warn("audit_follow_path: %s is not there: it is waited for", path)
		}
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			f.problem(fmt.Errorf("audit_follow_path: its directory cannot be used: %w", err))
		}
	}
}

// regular says what keeps a file, if it is there, from being used so.
func regular(key, path string, mode uint32) error {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			return nil // usableDir speaks of its directory
		}
		return fmt.Errorf("%s: %w", key, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %s is not a file (%s)", key, path, info.Mode().Type())
	}
	if err := unix.Access(path, mode); err != nil {
		return fmt.Errorf("%s: this user may not use %s: %w", key, path, err)
	}
	return nil
}

// usableDir says what keeps a directory from being written, or from being made.
func usableDir(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if errors.Is(err, os.ErrNotExist) && at != filepath.Dir(at) {
			continue // it is made
		}
		if errors.Is(err, unix.ENOTDIR) {
			continue // what stands above says why
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", at)
		}
		if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
			made := "be written"
			if at != dir {
				made = "be made in " + at
			}
			return fmt.Errorf("the directory %s cannot %s: %w", dir, made, err)
		}
		return nil
	}
}

// disk compares sizes with the log's disk.
func (f *Findings) disk(c Config) {
	if c.LogPath() == "" {
		return
	}
	var st unix.Statfs_t
	dir := filepath.Dir(c.LogPath())
	for unix.Statfs(dir, &st) != nil {
		if dir == filepath.Dir(dir) {
			return
		}
		dir = filepath.Dir(dir)
	}
	bsize := int64(st.Bsize) //nolint:unconvert // it has 32 bits elsewhere
	total, free := int64(st.Blocks)*bsize, int64(st.Bavail)*bsize
	if total > 0 && c.MinFreeBytes >= total {
		f.problem(fmt.Errorf("min_free_bytes: the log's disk has %s in all, so less than %s are always free: lower it, or 0 for nobody to look", bytesWords(total), bytesWords(c.MinFreeBytes)))
	} else if free < c.MinFreeBytes {
		f.warn("the log's disk has %s free, less than min_free_bytes (%s)", bytesWords(free), bytesWords(c.MinFreeBytes))
	}
	if c.SegmentBytes > total {
		f.problem(fmt.Errorf("segment_bytes: the log's disk has %s in all, so no segment of %s is ever sealed", bytesWords(total), bytesWords(c.SegmentBytes)))
	}
	if n := c.Retain.Bytes; n > total {
		f.warn("retain.bytes: the log's disk has %s in all, less than the %s that are to be kept", bytesWords(total), bytesWords(n))
	}
}

// membership looks at the lists with the node's own id, if it has one yet.
func (f *Findings) membership(c Config) {
	for _, s := range c.Bootstrap {
		id, err := bootstrapPeer(s)
		if err == nil && id != f.Node && !slices.Contains(c.Members, id) {
			f.problem(fmt.Errorf("bootstrap address %q is not a member's: add %s to members", s, id))
		}
	}
	others := slices.DeleteFunc(slices.Clone(c.Members), func(id string) bool { return id == f.Node })
	switch {
	case f.Node == "":
		f.warn("this node has no identity yet: run `auditmesh init`, and add what it prints to members, here and at all others")
	case len(others) == 0:
		f.warn("members: nobody but this node, so nobody may connect: add the others' ids")
	case len(others) == len(c.Members):
		f.problem(fmt.Errorf("members: this node's own id %s is missing; the others, who have the same list, would refuse it: add it here and there", f.Node))
	}
	fixed := slices.ContainsFunc(c.Listen, func(s string) bool {
		return !strings.Contains(s, "/tcp/0") && !strings.Contains(s, "/udp/0")
	})
	if !fixed && len(c.Bootstrap) == 0 && len(others) > 0 {
		f.warn("listen and bootstrap: the node listens on other ports at each start and dials nobody, so nobody finds it: name a port, or a member's address")
	}
}

// tryListen listens on an address for a moment.
func tryListen(ctx context.Context, address string) error {
	a, err := ma.NewMultiaddr(address)
	if err != nil {
		return err
	}
	host, err := a.ValueForProtocol(ma.P_IP4)
	if err != nil {
		if host, err = a.ValueForProtocol(ma.P_IP6); err != nil {
			return err
		}
		if zone, err := a.ValueForProtocol(ma.P_IP6ZONE); err == nil {
			host += "%" + zone
		}
	}
	var lc net.ListenConfig
	if port, err := a.ValueForProtocol(ma.P_TCP); err == nil {
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, port))
		if err != nil {
			return err
		}
		return l.Close()
	}
	port, err := a.ValueForProtocol(ma.P_UDP)
	if err != nil {
		return err
	}
	l, err := lc.ListenPacket(ctx, "udp", net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	return l.Close()
}
