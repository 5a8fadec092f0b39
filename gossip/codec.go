package gossip

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"auditmesh/audit/merkle"
	"auditmesh/gossip/internal/wire"
)

const (
	// maxMessage bounds a message on the topic and a frame of catch-up: the
	// lines of a batch, and room for frontier, checkpoint and framing.
	maxMessage = merkle.MaxBatchBytes + 64<<10
	// compressFrom is from how many bytes on compression is tried.
	compressFrom = 512
	pageLogs     = 1024
)

// codec encodes and decodes what goes over the wire. It is safe for concurrent use.
type codec struct {
	tasklist string
	enc      *zstd.Encoder
	dec      *zstd.Decoder
}

func newCodec(tasklist string) (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return nil, err
	}
	// The decoder's limit is what keeps a small message from becoming a large one.
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(merkle.MaxBatchBytes), zstd.WithDecoderConcurrency(2))
	if err != nil {
		return nil, err
	}
	return &codec{tasklist, enc, dec}, nil
}

func (c *codec) encodeBatch(b *merkle.Batch) *wire.Batch {
	w := &wire.Batch{
		Tasklist: c.tasklist, Node: b.Log.Peer, Log: b.Log.ID[:], First: b.First,
		Checkpoint: b.Checkpoint, Lines: b.Lines, LinesSize: uint64(len(b.Lines)),
	}
	for _, h := range b.Frontier {
		w.Frontier = append(w.Frontier, h[:])
	}
	if len(b.Lines) >= compressFrom {
		if small := c.enc.EncodeAll(b.Lines, nil); len(small) < len(b.Lines) {
			w.Lines, w.Encoding = small, wire.Encoding_ZSTD
		}
	}
	return w
}

// decodeBatch checks shape and sizes; the batch is not verified yet.
func (c *codec) decodeBatch(w *wire.Batch) (*merkle.Batch, error) {
	if w.GetLinesSize() > merkle.MaxBatchBytes {
		return nil, fmt.Errorf("the batch states %d bytes, the limit is %d", w.GetLinesSize(), merkle.MaxBatchBytes)
	}
	id, err := hashOf(w.GetLog())
	if err != nil {
		return nil, fmt.Errorf("log id: %w", err)
	}
	b := &merkle.Batch{Log: merkle.LogName{Peer: w.GetNode(), ID: id}, First: w.GetFirst(), Checkpoint: w.GetCheckpoint()}
	if len(w.GetFrontier()) > 64 {
		return nil, errors.New("the frontier has more than 64 hashes")
	}
	for _, raw := range w.GetFrontier() {
		h, err := hashOf(raw)
		if err != nil {
			return nil, fmt.Errorf("frontier: %w", err)
		}
		b.Frontier = append(b.Frontier, h)
	}
	switch w.GetEncoding() {
	case wire.Encoding_PLAIN:
		b.Lines = w.GetLines()
	case wire.Encoding_ZSTD:
		if b.Lines, err = c.dec.DecodeAll(w.GetLines(), make([]byte, 0, w.GetLinesSize())); err != nil {
			return nil, fmt.Errorf("the lines do not decompress: %w", err)
		}
	default:
		return nil, fmt.Errorf("the encoding %d is unknown", w.GetEncoding())
	}
	if uint64(len(b.Lines)) != w.GetLinesSize() {
		return nil, fmt.Errorf("the lines have %d bytes, the batch states %d", len(b.Lines), w.GetLinesSize())
	}
	return b, nil
}

func hashOf(raw []byte) (merkle.Hash, error) {
	if len(raw) != len(merkle.Hash{}) {
		return merkle.Hash{}, fmt.Errorf("a hash of %d bytes", len(raw))
	}
	return merkle.Hash(raw), nil
}

func encodeStates(states []merkle.LogState) []*wire.Log {
	out := make([]*wire.Log, len(states))
	for i, s := range states {
		out[i] = &wire.Log{Node: s.Name.Peer, Log: s.Name.ID[:], First: s.First, Size: s.Size, Root: s.Root[:]}
	}
	return out
}

func decodeStates(logs []*wire.Log) ([]merkle.LogState, error) {
	if len(logs) > pageLogs {
		return nil, fmt.Errorf("a page states %d logs, the limit is %d", len(logs), pageLogs)
	}
	out := make([]merkle.LogState, len(logs))
	for i, l := range logs {
		id, err := hashOf(l.GetLog())
		if err != nil {
			return nil, err
		}
		root, err := hashOf(l.GetRoot())
		if err != nil {
			return nil, err
		}
		if n := len(l.GetNode()); n == 0 || n > merkle.MaxPeerID {
			return nil, fmt.Errorf("a page states a log whose node's name has %d bytes: a peer id has 1 to %d", n, merkle.MaxPeerID)
		}
		out[i] = merkle.LogState{Name: merkle.LogName{Peer: l.GetNode(), ID: id}, First: l.GetFirst(), Size: l.GetSize(), Root: root}
	}
	return out, nil
}

// writeFrame writes one frame, preceded by its length.
func writeFrame(w io.Writer, f *wire.Frame) error {
	raw, err := proto.Marshal(f)
	if err != nil {
		return err
	}
	if len(raw) > maxMessage {
		return fmt.Errorf("a frame of %d bytes is over the limit of %d", len(raw), maxMessage)
	}
	_, err = w.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...))
	return err
}

// readFrame reads one frame. The size is checked before memory is taken.
func readFrame(r *bufio.Reader) (*wire.Frame, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > maxMessage {
		return nil, fmt.Errorf("a frame of %d bytes is over the limit of %d", n, maxMessage)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, err
	}
	f := new(wire.Frame)
	if err := proto.Unmarshal(raw, f); err != nil {
		return nil, fmt.Errorf("a frame does not decode: %w", err)
	}
	return f, nil
}
