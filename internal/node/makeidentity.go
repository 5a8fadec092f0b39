package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"auditmesh/audit"
	"auditmesh/audit/disk"
)

// The first use of a data directory makes the identity key and the last-signed
// state of a node that signed nothing. Any number of processes may be the first.
//
// One lock keeps it to one of them. The order makes a crash at any step harmless:
//
//  1. the key under the name identity.key.new, synced, and its name synced;
//  2. the state for that key, synced, and its name synced;
//  3. the key renamed to identity.key, and that synced.
//
// Who sees identity.key may use it at once, without the lock. If the power fails
// before the rename is on the disk, identity.key.new is, and the next start
// renames it: it is the same node, whatever was appended in between.

const (
	// identityWait bounds how long a process waits for another one that makes the
	// identity. That takes a few syncs.
	identityWait  = 30 * time.Second
	identityPause = 10 * time.Millisecond
)

// EnsureIdentity reads the identity key of a data directory, or makes the
// directory and the key where nothing was ever signed. It is safe to be called by
// many processes at one time: all get the same identity. Where something was
// signed, the loss of the key is not mended: the log would go on under another
// name, as if it were another node's.
func EnsureIdentity(ctx context.Context, c Config) (Identity, error) {
	return ensureIdentity(ctx, disk.OS{}, c)
}

func ensureIdentity(ctx context.Context, fsys disk.FS, c Config) (Identity, error) {
	id, err := loadIdentity(fsys, c)
	if !errors.Is(err, ErrNoIdentity) {
		return id, err
	}
	if err := disk.MkdirAll(fsys, c.DataDir, 0o700); err != nil {
		return id, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := waitForLock(ctx, fsys, c.identityLockPath())
	if err != nil {
		return id, fmt.Errorf("make the identity: %w", err)
	}
	id, err = makeIdentity(fsys, c)
	return id, errors.Join(err, lock.Release())
}

// waitForLock takes a lock, and waits while another process has it, for at most
// identityWait.
func waitForLock(ctx context.Context, fsys disk.FS, path string) (disk.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, identityWait)
	defer cancel()
	for {
		lock, err := fsys.Lock(path)
		if !errors.Is(err, disk.ErrLocked) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w; it was waited for (at most %s)", err, identityWait)
		case <-time.After(identityPause):
		}
	}
}

// makeIdentity goes on from wherever an earlier start of it ended. The lock is held.
func makeIdentity(fsys disk.FS, c Config) (Identity, error) {
	id, err := loadIdentity(fsys, c) // another process was first
	if !errors.Is(err, ErrNoIdentity) {
		return id, err
	}
	id, err = readKey(fsys, c.newKeyPath())
	switch {
	case err == nil:
		// The file was synced before it was used, if this process or another one
		// used it at all. Syncing its name once more costs nothing.
		err = fsys.SyncDir(c.DataDir)
	case errors.Is(err, ErrNoIdentity):
		id, err = makeKey(fsys, c)
	case errors.Is(err, errDamagedKey): // cut short by a crash, so nobody has used it
		if err = nothingSigned(fsys, c); err == nil {
			if err = fsys.Remove(c.newKeyPath()); err == nil {
				id, err = makeKey(fsys, c)
			}
		}
	}
	if err != nil {
		return Identity{}, err
	}
	if err := ensureSignedState(fsys, c, id); err != nil {
		return Identity{}, err
	}
	if err := fsys.Rename(c.newKeyPath(), c.identityPath()); err != nil {
		return Identity{}, fmt.Errorf("name the identity key: %w", err)
	}
	return id, fsys.SyncDir(c.DataDir)
}

// makeKey makes a key, durable under its first name when it returns.
func makeKey(fsys disk.FS, c Config) (id Identity, err error) {
	if err := nothingSigned(fsys, c); err != nil {
		return id, err
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return id, err
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return id, err
	}
	if id, err = identityOf(key); err != nil {
		return id, err
	}
	f, err := fsys.OpenFile(c.newKeyPath(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return id, err
	}
	if _, err = f.Write(raw); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return id, fmt.Errorf("write the identity key: %w", err)
	}
	return id, fsys.SyncDir(c.DataDir)
}

// ensureSignedState makes the state of a node that signed nothing, unless the
// state of this very node is there.
func ensureSignedState(fsys disk.FS, c Config, id Identity) error {
	have, there, err := signedState(fsys, c)
	if err == nil && there && have.Peer == id.Peer {
		return fsys.SyncDir(c.stateDir())
	}
	// Another's state signed nothing: makeKey looked, or a crash cut it short.
	if err := nothingSigned(fsys, c); err != nil {
		return err
	}
	if err := disk.MkdirAll(fsys, c.stateDir(), 0o700); err != nil {
		return err
	}
	return audit.InitSignedState(fsys, c.SignedPath(), id.Peer)
}

func signedState(fsys disk.FS, c Config) (s audit.SignedState, there bool, err error) {
	const most = 64 << 10
	raw, err := disk.ReadFile(fsys, c.SignedPath(), most)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	return s, true, err
}

// nothingSigned refuses a directory in which something was signed, by a key that
// is not there.
func nothingSigned(fsys disk.FS, c Config) error {
	const hint = "restore it from where it is kept; a new one is another node, for which move %s away"
	s, there, err := signedState(fsys, c)
	switch {
	case there && err != nil:
		return fmt.Errorf("the identity key %s is gone, and %s cannot be read (%w): "+hint, c.identityPath(), c.SignedPath(), err, c.DataDir)
	case s.Size > 0 || len(s.Sealed) > 0:
		return fmt.Errorf("the identity key %s is gone, and %s says that it signed %d records: "+hint, c.identityPath(), c.SignedPath(), s.Size, c.DataDir)
	case c.LogPath() == "":
		return nil
	}
	for _, suffix := range []string{".checkpoints", ".sealed"} {
		kept := strings.TrimSuffix(c.LogPath(), ".jsonl") + suffix
		if _, err := fsys.Stat(kept); err == nil {
			return fmt.Errorf("the identity key %s is gone, and a log that it signed is there (%s): "+hint, c.identityPath(), kept, c.DataDir)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
