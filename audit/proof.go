package audit

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
	maxProof   = 2*MaxLine + maxNote
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
	if !ok || len(lines) < 3 || lines[0] != proofMagic {
		return p, fmt.Errorf("not a proof: it does not begin with %q, extra data and an index", proofMagic)
	}
	extra, ok1 := strings.CutPrefix(lines[1], "extra ")
	index, ok2 := strings.CutPrefix(lines[2], "index ")
	line, err1 := base64.StdEncoding.DecodeString(extra)
	seq, err2 := strconv.ParseUint(index, 10, 63)
	if !ok1 || !ok2 || err1 != nil || err2 != nil {
		return p, errors.New("not a proof of ours: the second line holds the record as extra data, the third its index")
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
	if err := p.check(); err != nil {
		return p, err
	}
	if !bytes.Equal(p.Marshal(), raw) {
		return p, errors.New("the proof is not in its one canonical form")
	}
	return p, nil
}

func (p Proof) check() error {
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

// ErrUnsigned means that no checkpoint covers what is to be proven yet.
var ErrUnsigned = errors.New("not signed yet")

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

// Prove makes the proof of the record at seq under the greatest checkpoint. It
// reads at most two blocks of 256 lines, and returns ErrUnsigned for a record
// beyond that. The proof is checked before it is returned.
func (h *held) Prove(seq uint64) (Proof, error) {
	head, ok := h.Head()
	if !ok || seq >= head.Size {
		return Proof{}, fmt.Errorf("%w: record %d of %d that were signed", ErrUnsigned, seq, head.Size)
	}
	r := h.Reader(seq)
	defer r.Close()
	rec, err := r.Next()
	if err != nil {
		return Proof{}, err
	}
	hashes, err := tlog.ProveRecord(int64(head.Size), int64(seq), &nodes{c: h.chain})
	if err != nil {
		return Proof{}, fmt.Errorf("prove record %d of %s: %w", seq, head.Log, err)
	}
	p := Proof{seq, bytes.Clone(rec.Line), hashes, head}
	if err := p.check(); err != nil {
		return Proof{}, fmt.Errorf("%s was changed after it was signed; `auditmesh verify` says where: %w", r.seg.path, err)
	}
	return p, nil
}

// ProveConsistency shows that the greatest checkpoint extends an earlier one of
// this log, whoever kept it. An error means that it does not, or that what is
// held here no longer reaches back so far (ErrRetired).
func (h *held) ProveConsistency(old Checkpoint) (Consistency, error) {
	head, ok := h.Head()
	if !ok || old.Size > head.Size {
		return Consistency{}, fmt.Errorf("%w here: the checkpoint states %d records, %d are signed", ErrUnsigned, old.Size, head.Size)
	}
	hashes, err := tlog.ProveTree(int64(head.Size), int64(old.Size), &nodes{c: h.chain})
	if err != nil {
		return Consistency{}, err
	}
	c := Consistency{old, head, hashes}
	return c, c.Check()
}

// nodes are the hashes of a chain's Merkle tree, as tlog asks for them. Those
// beneath a block are made from its lines; two blocks are kept.
type nodes struct {
	c      *chain
	blocks map[uint64]map[subtreeAt]Hash
}

type subtreeAt struct {
	level int
	index uint64
}

// ReadHashes is that of tlog.HashReader.
func (n *nodes) ReadHashes(indexes []int64) ([]Hash, error) {
	list := make([]Hash, len(indexes))
	for i, x := range indexes {
		level, index := tlog.SplitStoredHashIndex(x)
		at := subtreeAt{level, uint64(index)}
		h, ok, err := n.node(at)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("the hash of records %d to %d: %w", at.index<<level, (at.index+1)<<level-1, ErrRetired)
		}
		list[i] = h
	}
	return list, nil
}

func (n *nodes) node(at subtreeAt) (Hash, bool, error) {
	if at.level >= blockLevel {
		n.c.mu.RLock()
		defer n.c.mu.RUnlock()
		h, ok := n.c.tree.node(at.level-blockLevel, at.index)
		return h, ok, nil
	}
	b := at.index >> (blockLevel - at.level)
	block, ok := n.blocks[b]
	if !ok {
		var err error
		if block, err = n.c.block(b); err != nil {
			return Hash{}, false, err
		}
		if n.blocks == nil {
			n.blocks = make(map[uint64]map[subtreeAt]Hash)
		}
		n.blocks[b] = block
	}
	h, ok := block[at]
	return h, ok, nil
}

// block has the hashes of all complete subtrees within a block.
func (c *chain) block(b uint64) (map[subtreeAt]Hash, error) {
	from, size := b*blockSize, c.size()
	all := make(map[subtreeAt]Hash)
	built := compactRange{end: from}
	add := func(n subtree) {
		for start := built.end; ; n.level++ {
			all[subtreeAt{n.level, start >> n.level}] = n.hash
			left := len(built.nodes) - 1
			if left < 0 || built.nodes[left].level != n.level || start>>n.level%2 == 0 {
				break
			}
			start -= 1 << n.level
			n.hash = nodeHash(built.nodes[left].hash, n.hash)
			built.nodes = built.nodes[:left]
		}
		built.nodes = append(built.nodes, n)
	}
	c.mu.RLock()
	known := c.tree.restAt(from)
	c.mu.RUnlock()
	for level := blockLevel - 1; level >= 0; level-- {
		if known.Size>>level&1 == 1 {
			add(subtree{level, known.Hashes[0]})
			known.Hashes = known.Hashes[1:]
			built.end += 1 << level
		}
	}
	r := newReader(c, built.end)
	defer r.Close()
	var lh lineHasher
	for ; built.end < min(from+blockSize, size); built.end++ {
		rec, err := r.Next()
		if err != nil {
			return nil, err
		}
		add(subtree{0, lh.line(rec.ended()).hash})
	}
	return all, nil
}
