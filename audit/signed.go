package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// SignedState is the last-signed state: the greatest checkpoint that the node
// signed of its log. It lives apart from the log directory, so that a log put
// back from a backup is noticed, and is synced before each signature.
type SignedState struct {
	Version int         `json:"version"`
	Peer    string      `json:"peer"`
	Log     string      `json:"log,omitempty"` // log id in hex; empty: nothing was signed yet
	Size    uint64      `json:"size"`
	Root    merkle.Hash `json:"root"`
	// Sealed are ids of older logs of the node, which are never signed again.
	Sealed  []string    `json:"sealed,omitempty"`
	Pending *Succession `json:"pending,omitempty"` // decided on; nothing was signed since
}

const (
	signedVersion = 1
	maxSigned     = 64 << 10
)

// ErrNoSignedState means that the file with the last-signed state is gone. The
// node cannot know what it signed, so it signs no more.
var ErrNoSignedState = errors.New("the last-signed state is missing")

// InitSignedState writes the state of a node that has signed nothing. It is
// called once, when the node's identity is made, and never to mend a loss.
func InitSignedState(fsys disk.FS, path, peer string) error {
	if err := disk.MkdirAll(fsys, filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return writeSigned(fsys, path, SignedState{Peer: peer})
}

// readSigned reads the state, which must be of that peer unless peer is empty.
func readSigned(fsys disk.FS, path, peer string) (SignedState, error) {
	var s SignedState
	raw, err := disk.ReadFile(fsys, path, maxSigned)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("%w: %s: restore it from where the identity key is kept; without it this log is never signed again", ErrNoSignedState, path)
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, &segment.DamageError{File: path, Reason: "is not a last-signed state: " + err.Error()}
	}
	if s.Version != signedVersion {
		return s, &segment.VersionError{File: path, Has: s.Version, Knows: signedVersion}
	}
	if want, err := s.encode(); err != nil || !bytes.Equal(want, raw) {
		return s, &segment.DamageError{File: path, Reason: "is not as it was written"}
	}
	if peer != "" && s.Peer != peer {
		return s, fmt.Errorf("%s is the last-signed state of %s, this node is %s: it belongs to another identity key", path, s.Peer, peer)
	}
	return s, nil
}

func writeSigned(fsys disk.FS, path string, s SignedState) error {
	raw, err := s.encode()
	if err != nil {
		return err
	}
	return disk.WriteFile(fsys, path, raw, 0o600)
}

// encode makes the one form that a state has.
func (s SignedState) encode() ([]byte, error) {
	s.Version = signedVersion
	raw, err := json.Marshal(s)
	return append(raw, '\n'), err
}
