package merkle

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that a line is the record with seq Index of the log that the
// checkpoint states: by RFC 6962, section 2.1.1, and its node's signature.
type Proof struct {
	Index      uint64
	Line       []byte // without its newline
	Hashes     []Hash // audit path, from the leaf up
	Checkpoint Checkpoint
}

const (
	proofMagic = "c2sp.org/tlog-proof@v1"
	maxProof   = 2*MaxLine + MaxNote
)

// Marshal makes the text of a C2SP tlog-proof with the line as its extra data:
// https://c2sp.org/tlog-proof.
func (p Proof) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", proofMagic, base64.StdEncoding.EncodeToString(p.Line), p.Index)
	for _, h := range p.Hashes {
		fmt.Fprintln(&b, h)
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint.Note)
	return b.Bytes()
}

// ParseProof reads a proof and checks it: the path from the line to the root,
// and the signature of the node that the checkpoint's origin names.
func ParseProof(raw []byte) (Proof, error) {
	var p Proof
	if len(raw) > maxProof {
		return p, fmt.Errorf("a proof of %d bytes is over the limit of %d", len(raw), maxProof)
	}
	head, signed, ok := strings.Cut(string(raw), "\n\n")
	lines := strings.Split(head, "\n")
	switch {
	case lines[0] != proofMagic:
		return p, fmt.Errorf("not a proof: line 1 should be %q", proofMagic)
	case !ok || len(lines) < 3:
		return p, errors.New("not a whole proof: there should be extra data, an index, hashes, an empty line and a checkpoint")
	}
	extra, ok1 := strings.CutPrefix(lines[1], "extra ")
	index, ok2 := strings.CutPrefix(lines[2], "index ")
	line, err1 := base64.StdEncoding.DecodeString(extra)
	seq, err2 := strconv.ParseUint(index, 10, 63)
	if !ok1 || !ok2 || err1 != nil || err2 != nil {
		return p, errors.New("not a proof of a record: line 2 should be \"extra\" and the record in base64, line 3 \"index\" and its number")
	}
	p.Index, p.Line = seq, line
	for _, l := range lines[3:] {
		h, err := tlog.ParseHash(l)
		if err != nil {
			return p, fmt.Errorf("%.60q is not a hash in base64", l)
		}
		p.Hashes = append(p.Hashes, h)
	}
	var err error
	if p.Checkpoint, err = ParseCheckpoint([]byte(signed)); err != nil {
		return p, err
	}
	if err := p.Check(); err != nil {
		return p, err
	}
	if !bytes.Equal(p.Marshal(), raw) {
		return p, errors.New("the proof is not in its one canonical form")
	}
	return p, nil
}

func (p Proof) Check() error {
	if err := tlog.CheckRecord(p.Hashes, int64(p.Checkpoint.Size), p.Checkpoint.Root, int64(p.Index), LeafHash(p.Line)); err != nil {
		return fmt.Errorf("the line is not record %d of the %d that were signed: %w", p.Index, p.Checkpoint.Size, err)
	}
	return nil
}

// Consistency shows that the log of New begins with that of Old: RFC 6962,
// section 2.1.2.
type Consistency struct {
	Old    Checkpoint
	New    Checkpoint
	Hashes []Hash
}

// Check verifies the proof; the checkpoints' signatures are verified where they
// were parsed.
func (c Consistency) Check() error {
	if c.Old.Log != c.New.Log {
		return fmt.Errorf("the checkpoints are of two logs, %s and %s", c.Old.Log, c.New.Log)
	}
	return tlog.CheckTree(c.Hashes, int64(c.New.Size), c.New.Root, int64(c.Old.Size), c.Old.Root)
}

// Marshal makes the text that a C2SP witness is sent: the old size, the hashes,
// and the new checkpoint. https://c2sp.org/tlog-witness, "add-checkpoint".
func (c Consistency) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", c.Old.Size)
	for _, h := range c.Hashes {
		fmt.Fprintln(&b, h)
	}
	b.WriteByte('\n')
	b.Write(c.New.Note)
	return b.Bytes()
}
