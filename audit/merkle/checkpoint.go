package merkle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	// MaxNote is the most bytes that a signed checkpoint may have.
	MaxNote = 4096
	// algEd25519 is the signature type of a C2SP signed note.
	algEd25519 = 1
	originPath = "auditmesh/"
)

// LogName names a log: the peer id of the node that writes it, and the Merkle
// leaf hash of its first record.
type LogName struct {
	Peer string
	ID   Hash
}

// IDString is the log id in lower-case hex.
func (n LogName) IDString() string { return hex.EncodeToString(n.ID[:]) }

func (n LogName) String() string { return n.Peer + "/" + n.IDString() }

// Compare orders names by peer id, then by log id.
func (n LogName) Compare(m LogName) int {
	if c := strings.Compare(n.Peer, m.Peer); c != 0 {
		return c
	}
	return bytes.Compare(n.ID[:], m.ID[:])
}

// ParseLogID reads a log id in lower-case hex.
func ParseLogID(s string) (id Hash, err error) {
	// A name with two spellings would be two names.
	if len(s) != 2*len(id) || strings.ToLower(s) != s {
		return id, fmt.Errorf("a log id has %d lower-case hex digits, %.80q has not", 2*len(id), s)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, fmt.Errorf("a log id has %d lower-case hex digits, %.80q has not", 2*len(id), s)
	}
	return id, nil
}

// Checkpoint states that a log has Size records and this Merkle root. Note is
// the signed note that says so, a C2SP tlog-checkpoint.
type Checkpoint struct {
	Log  LogName
	Size uint64
	Root Hash
	Note []byte
}

// ErrSignature is returned for a checkpoint that its log's node did not sign.
var ErrSignature = errors.New("the checkpoint is not signed by its log's node")

// ParseCheckpoint reads a signed checkpoint and verifies the signature with the
// key that the origin's peer id holds. The note must be its own re-encoding: a
// second spelling of one statement (unused base64 bits, further lines) is refused.
// Formats: https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint.
func ParseCheckpoint(raw []byte) (Checkpoint, error) {
	if len(raw) > MaxNote {
		return Checkpoint{}, fmt.Errorf("a checkpoint of %d bytes is over the limit of %d", len(raw), MaxNote)
	}
	lines := strings.SplitN(string(raw), "\n", 4)
	if len(lines) != 4 {
		return Checkpoint{}, errors.New("a checkpoint has three lines, an empty one, and a signature")
	}
	c, err := parseBody(lines)
	if err != nil {
		return Checkpoint{}, err
	}
	verifier, err := verifierOf(c.Log.Peer)
	if err != nil {
		return Checkpoint{}, err
	}
	n, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if len(n.Sigs) != 1 || n.Text != c.body() || !bytes.Equal(canonicalNote(n.Text, n.Sigs[0]), raw) {
		return Checkpoint{}, errors.New("the checkpoint is not in its one canonical form")
	}
	c.Note = bytes.Clone(raw)
	return c, nil
}

func parseBody(lines []string) (Checkpoint, error) {
	var c Checkpoint
	rest, ok := strings.CutPrefix(lines[0], originPath)
	if !ok {
		return c, fmt.Errorf("the checkpoint's origin %.100q does not begin with %q", lines[0], originPath)
	}
	peer, id, ok := strings.Cut(rest, "/")
	if !ok {
		return c, fmt.Errorf("the checkpoint's origin %.100q has no log id", lines[0])
	}
	logID, err := ParseLogID(id)
	if err != nil {
		return c, fmt.Errorf("the checkpoint's log id: %w", err)
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || size == 0 {
		return c, fmt.Errorf("the checkpoint's size %.30q is not a positive number", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != sha256.Size {
		return c, fmt.Errorf("the checkpoint's root %.60q is not a hash in base64", lines[2])
	}
	return Checkpoint{Log: LogName{peer, logID}, Size: size, Root: Hash(root)}, nil
}

// body is the signed text: origin, size and root, a line each.
func (c Checkpoint) body() string {
	return originPath + c.Log.String() + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// canonicalNote is the note with that text and signature alone, in the one
// spelling that base64 has for it.
func canonicalNote(text string, sig note.Signature) []byte {
	raw, err := base64.StdEncoding.DecodeString(sig.Base64)
	if err != nil {
		return nil
	}
	return []byte(text + "\n— " + sig.Name + " " + base64.StdEncoding.EncodeToString(raw) + "\n")
}

func verifierOf(peer string) (note.Verifier, error) {
	key, err := PeerKey(peer)
	if err != nil {
		return nil, err
	}
	vkey, err := note.NewEd25519VerifierKey(originPath+peer, key)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(vkey)
}

// NewSigner makes the note signer of a node's key.
func NewSigner(key ed25519.PrivateKey) (note.Signer, error) {
	peer := PeerID(key.Public().(ed25519.PublicKey))
	v, err := verifierOf(peer)
	if err != nil {
		return nil, err
	}
	keyed := append([]byte{algEd25519}, key.Seed()...)
	return note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", v.Name(), v.KeyHash(), base64.StdEncoding.EncodeToString(keyed)))
}

// SignCheckpoint signs with Ed25519, which is deterministic: to sign one
// statement twice makes the same bytes.
func SignCheckpoint(signer note.Signer, c Checkpoint) (Checkpoint, error) {
	raw, err := note.Sign(&note.Note{Text: c.body()}, signer)
	c.Note = raw
	return c, err
}

// MaxLine is the most bytes that a line may have, its newline included. A batch
// holds at least one line, so this also bounds a gossip message.
const MaxLine = 1 << 20
