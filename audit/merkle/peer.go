package merkle

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/mr-tron/base58"
)

// peerIDPrefix precedes an Ed25519 key in a libp2p peer id: the identity
// multihash (code 0, 36 bytes) of the protobuf PublicKey{Type: Ed25519, Data: 32 bytes}.
// Source: libp2p specs, peer-ids/peer-ids.md.
var peerIDPrefix = [6]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}

// MaxPeerID is more characters than a peer id of an Ed25519 key has, which is 52.
const MaxPeerID = 64

// PeerID is the libp2p peer id of an Ed25519 key, in base58.
func PeerID(key ed25519.PublicKey) string {
	return base58.Encode(append(peerIDPrefix[:], key...))
}

// PeerKey is the key that a peer id holds. An id that is not the base58 form of
// an Ed25519 identity multihash is an error.
func PeerKey(id string) (ed25519.PublicKey, error) {
	if len(id) > MaxPeerID {
		return nil, fmt.Errorf("%.16s… is too long for a peer id", id)
	}
	raw, err := base58.Decode(id)
	if err != nil {
		return nil, fmt.Errorf("%q is not a peer id: %w", id, err)
	}
	if len(raw) != len(peerIDPrefix)+ed25519.PublicKeySize || [6]byte(raw[:6]) != peerIDPrefix {
		return nil, fmt.Errorf("%q is not the peer id of an Ed25519 key", id)
	}
	if base58.Encode(raw) != id {
		return nil, errors.New("peer id is not in its shortest form")
	}
	return raw[len(peerIDPrefix):], nil
}
