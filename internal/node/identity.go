package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"

	"github.com/libp2p/go-libp2p/core/crypto"

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

var errDamagedKey = errors.New("the identity key is damaged")

const maxKeyFile = 1024

// LoadIdentity reads the identity key of a data directory; ErrNoIdentity if
// there is none. A key that others can read is refused. Nothing is changed.
func LoadIdentity(c Config) (Identity, error) { return loadIdentity(disk.OS{}, c) }

func loadIdentity(fsys disk.FS, c Config) (Identity, error) {
	return readKey(fsys, c.identityPath())
}

// readKey reads a key file.
func readKey(fsys disk.FS, path string) (Identity, error) {
	info, err := fsys.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, fmt.Errorf("%w: %s", ErrNoIdentity, path)
	}
	if err != nil {
		return Identity{}, err
	}
	if !info.Mode().IsRegular() {
		return Identity{}, fmt.Errorf("the identity key %s is not a regular file: put the key file back", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Identity{}, fmt.Errorf("the identity key %s can be read by others (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path)
	}
	raw, err := disk.ReadFile(fsys, path, maxKeyFile)
	if err != nil {
		return Identity{}, err
	}
	key, err := crypto.UnmarshalPrivateKey(raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %s (%w): restore it from where it is kept", errDamagedKey, path, err)
	}
	return identityOf(key)
}

func identityOf(key crypto.PrivKey) (Identity, error) {
	raw, err := key.Raw()
	if err != nil {
		return Identity{}, fmt.Errorf("the identity key cannot be read: %w", err)
	}
	if key.Type() != crypto.Ed25519 {
		return Identity{}, errors.New("the identity key is not an Ed25519 key: restore the one that `auditmesh init` made")
	}
	id := Identity{Key: ed25519.PrivateKey(raw), Libp2p: key}
	public := id.Key.Public().(ed25519.PublicKey)
	id.Peer, id.Raw = merkle.PeerID(public), event.PartyID(public)
	return id, nil
}
