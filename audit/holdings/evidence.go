package holdings

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
)

// Evidence is a batch that its log's node signed and that contradicts what is
// held of that log: the node signed two pasts. It is checkable offline: both
// notes verify, and the frontier with the lines leads to the second note's root,
// while the lines held lead to the first's.
type Evidence struct {
	Version  int           `json:"version"`
	Log      string        `json:"log"`
	Held     string        `json:"held"`    // note of the checkpoint held here
	Refused  string        `json:"refused"` // note of the refused batch
	First    uint64        `json:"first"`
	Frontier []merkle.Hash `json:"frontier"`
	Lines    []byte        `json:"lines"`
}

const evidenceSuffix = ".evidence.json"

// KeepEvidence writes the conflict between what is held and a batch into dir,
// durable, under a name made of its content, and returns the file's path. The
// same conflict is kept once.
func KeepEvidence(fsys disk.FS, dir string, held merkle.Checkpoint, v *merkle.VerifiedBatch) (string, error) {
	raw, err := json.MarshalIndent(Evidence{
		Version: 1, Log: v.Log.String(), Held: string(held.Note), Refused: string(v.Head.Note),
		First: v.First, Frontier: v.Frontier, Lines: v.Lines,
	}, "", " ")
	if err != nil {
		return "", err
	}
	if err := disk.MkdirAll(fsys, dir, 0o700); err != nil {
		return "", err
	}
	sum := sha256.Sum256(v.Head.Note)
	path := filepath.Join(dir, v.Log.Peer+"-"+hex.EncodeToString(sum[:8])+evidenceSuffix)
	if there, err := disk.Exists(fsys, path); err != nil || there {
		return path, err
	}
	return path, disk.WriteFile(fsys, path, raw, 0o600)
}
