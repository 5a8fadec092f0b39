package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// Identity is a node's Ed25519 key, in the forms in which it is used.
type Identity struct {
	Key    ed25519.PrivateKey
	Libp2p crypto.PrivKey
	Peer   string        // peer id, base58
	Raw    event.PartyID // the public key
}

// ErrNoIdentity means that the data directory has no identity key yet.
var ErrNoIdentity = errors.New("there is no identity key yet")

const maxKeyFile = 1024

// LoadIdentity reads the identity key of a data directory; ErrNoIdentity if
// there is none. A key that others can read is refused.
func LoadIdentity(c Config) (Identity, error) {
	path := c.identityPath()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, fmt.Errorf("%w: %s", ErrNoIdentity, path)
	}
	if err != nil {
		return Identity{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Identity{}, fmt.Errorf("the identity key %s can be read by others (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path)
	}
	raw, err := disk.ReadFile(disk.OS{}, path, maxKeyFile)
	if err != nil {
		return Identity{}, err
	}
	key, err := crypto.UnmarshalPrivateKey(raw)
	if err != nil {
		return Identity{}, fmt.Errorf("the identity key %s is damaged: %w; restore it from where it is kept", path, err)
	}
	return identityOf(key)
}

func identityOf(key crypto.PrivKey) (Identity, error) {
	raw, err := key.Raw()
	if err != nil || key.Type() != crypto.Ed25519 {
		return Identity{}, fmt.Errorf("the identity key is not an Ed25519 key (%w)", err)
	}
	id := Identity{Key: ed25519.PrivateKey(raw), Libp2p: key}
	public := id.Key.Public().(ed25519.PublicKey)
	id.Peer, id.Raw = merkle.PeerID(public), event.PartyID(public)
	return id, nil
}

// EnsureIdentity reads the identity key, or makes one where nothing was ever
// signed. Where something was, the loss of the key is not mended: the log would
// go on under another name, as if it were another node's.
func EnsureIdentity(c Config) (Identity, error) {
	id, err := LoadIdentity(c)
	if !errors.Is(err, ErrNoIdentity) {
		return id, err
	}
	if err := nothingSigned(c); err != nil {
		return id, err
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return id, err
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return id, err
	}
	if id, err = identityOf(key); err != nil {
		return id, err
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return id, err
	}
	// The state comes first: a crash between leaves a state that signed nothing,
	// and the next start begins anew.
	fsys := disk.OS{}
	if err := audit.InitSignedState(fsys, c.SignedPath(), id.Peer); err != nil {
		return id, err
	}
	return id, disk.WriteFile(fsys, c.identityPath(), raw, 0o600)
}

func nothingSigned(c Config) error {
	hint := "restore it from where it is kept; a new one is another node, for which move " + c.DataDir + " away"
	raw, err := os.ReadFile(c.SignedPath())
	if err == nil {
		var s audit.SignedState
		if json.Unmarshal(raw, &s) != nil || s.Size > 0 || len(s.Sealed) > 0 {
			return fmt.Errorf("the identity key %s is gone, and %s says that it signed %d records: %s", c.identityPath(), c.SignedPath(), s.Size, hint)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if path := c.LogPath(); path != "" {
		kept, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.checkpoints"))
		if err == nil && len(kept) > 0 {
			return fmt.Errorf("the identity key %s is gone, and checkpoints of ours exist (%s): %s", c.identityPath(), kept[0], hint)
		}
	}
	return nil
}
