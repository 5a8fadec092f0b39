package segment

import (
	"bytes"

	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// Line is what is kept of a line once it was hashed.
type Line struct {
	Hash   merkle.Hash
	Length int    // with the newline
	Time   uint64 // ts_unix_ms, 0 if the line has none
}

// LineHasher hashes lines without garbage. It is used by one goroutine.
type LineHasher struct{ leaf merkle.LeafHasher }

// Line hashes a line that ends in a newline.
func (lh *LineHasher) Line(line []byte) Line { return lh.Timed(line, event.LineTime(line)) }

// Timed is line where the line's time is known.
func (lh *LineHasher) Timed(line []byte, time uint64) Line {
	return Line{lh.leaf.Hash(line[:len(line)-1]), len(line), time}
}

// WithHashes are whole lines that stand one after the other, whose hashes are known.
func WithHashes(lines []byte, hashes []merkle.Hash) []Line {
	list := make([]Line, len(hashes))
	for i, h := range hashes {
		end := bytes.IndexByte(lines, '\n') + 1
		list[i] = Line{h, end, event.LineTime(lines[:end])}
		lines = lines[end:]
	}
	return list
}

// lineInPlace hashes the line [start, end) of buf, newline included, without a
// copy. The caller alone uses buf, and start is not 0.
func lineInPlace(buf []byte, start, end int) Line {
	return Line{merkle.LeafHashInPlace(buf, start, end-1), end - start, event.LineTime(buf[start:end])}
}

// HashLines hashes whole lines that stand one after the other.
func HashLines(lines []byte, n int) []Line {
	list := make([]Line, 0, n)
	var lh LineHasher
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n') + 1
		list = append(list, lh.Line(lines[:end]))
		lines = lines[end:]
	}
	return list
}

// times are the least and the greatest time of some lines. The zero value is of
// lines without any.
type times struct{ least, most uint64 }

func (t *times) add(o times) {
	if o.most == 0 {
		return
	}
	if t.most == 0 {
		*t = o
		return
	}
	t.least, t.most = min(t.least, o.least), max(t.most, o.most)
}

// BlockPart is what is kept of consecutive lines of one block: enough to go on with
// the tree and with the index.
type BlockPart struct {
	first  uint64
	offset int64 // in its segment
	bytes  int64
	id     merkle.Hash // the first line's
	tree   merkle.Range
	prints []uint16 // for each line the first two bytes of its hash
	times  times

	unreadable int // lines that do not decode, where that was asked for
}

func (p *BlockPart) end() uint64 { return p.first + uint64(len(p.prints)) }

// add takes in the line that follows. It says so when the line ends a block.
func (p *BlockPart) add(l Line) (full bool) {
	seq := p.end()
	if len(p.prints) == 0 {
		p.id, p.tree = l.Hash, merkle.RangeAt(seq)
	}
	p.prints = append(p.prints, uint16(l.Hash[0])<<8|uint16(l.Hash[1]))
	p.bytes += int64(l.Length)
	p.times.add(times{l.Time, l.Time})
	p.tree.AppendLeaf(l.Hash)
	return (seq+1)%merkle.BlockSize == 0
}

// BlockParts cuts lines that follow one another at the ends of blocks.
func BlockParts(first uint64, offset int64, lines []Line) (list []BlockPart) {
	p := BlockPart{first: first, offset: offset}
	for _, l := range lines {
		if p.add(l) {
			list = append(list, p)
			p = BlockPart{first: p.end(), offset: p.offset + p.bytes}
		}
	}
	if len(p.prints) > 0 {
		list = append(list, p)
	}
	return list
}
