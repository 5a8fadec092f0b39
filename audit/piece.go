package audit

import "bytes"

// hashedLine is what is kept of a line once it was hashed.
type hashedLine struct {
	hash   Hash
	length int    // with the newline
	time   uint64 // ts_unix_ms, 0 if the line has none
}

// lineHasher hashes lines without garbage. It is used by one goroutine.
type lineHasher struct{ leaf LeafHasher }

// line hashes a line that ends in a newline.
func (lh *lineHasher) line(line []byte) hashedLine { return lh.timed(line, lineTime(line)) }

// timed is line where the line's time is known.
func (lh *lineHasher) timed(line []byte, time uint64) hashedLine {
	return hashedLine{lh.leaf.Hash(line[:len(line)-1]), len(line), time}
}

// withHashes are whole lines that stand one after the other, whose hashes are known.
func withHashes(lines []byte, hashes []Hash) []hashedLine {
	list := make([]hashedLine, len(hashes))
	for i, h := range hashes {
		end := bytes.IndexByte(lines, '\n') + 1
		list[i] = hashedLine{h, end, lineTime(lines[:end])}
		lines = lines[end:]
	}
	return list
}

// lineInPlace hashes the line [start, end) of buf, newline included, without a
// copy. The caller alone uses buf, and start is not 0.
func lineInPlace(buf []byte, start, end int) hashedLine {
	return hashedLine{leafHashInPlace(buf, start, end-1), end - start, lineTime(buf[start:end])}
}

// hashLines hashes whole lines that stand one after the other.
func hashLines(lines []byte, n int) []hashedLine {
	list := make([]hashedLine, 0, n)
	var lh lineHasher
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n') + 1
		list = append(list, lh.line(lines[:end]))
		lines = lines[end:]
	}
	return list
}

var (
	eventStart = []byte(`{"event":"`)
	timeStart  = []byte(`","ts_unix_ms":`)
)

// lineTime is the time that a line states, 0 if none. Lines that begin as every
// writer of this format begins them cost next to nothing, others are decoded. It
// serves the index alone, which says where a time may be found.
func lineTime(line []byte) uint64 {
	rest, ok := bytes.CutPrefix(line, eventStart)
	if ok {
		name := bytes.IndexByte(rest, '"')
		if name >= 0 && bytes.HasPrefix(rest[name:], timeStart) {
			var t uint64
			digits := rest[name+len(timeStart):]
			for i := 0; i < len(digits) && i < 19; i++ {
				d := digits[i] - '0'
				if d > 9 {
					return t
				}
				t = t*10 + uint64(d)
			}
		}
	}
	e, err := Decode(bytes.TrimSuffix(line, []byte{'\n'}))
	if err != nil {
		return 0
	}
	return e.Time()
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

// subtree is the hash of 1<<level leaves.
type subtree struct {
	level int
	hash  Hash
}

// compactRange is a run of leaves as the fewest subtrees that make it up, left to
// right: the "compact range" of transparency-dev/merkle.
type compactRange struct {
	end   uint64 // seq after the last leaf
	nodes []subtree
}

// add takes in the subtree that follows, which is aligned to its size.
func (r *compactRange) add(n subtree) {
	start := r.end
	r.end += 1 << n.level
	for len(r.nodes) > 0 {
		left := r.nodes[len(r.nodes)-1]
		if left.level != n.level || start>>n.level%2 == 0 {
			break
		}
		start -= 1 << n.level
		n = subtree{n.level + 1, nodeHash(left.hash, n.hash)}
		r.nodes = r.nodes[:len(r.nodes)-1]
	}
	r.nodes = append(r.nodes, n)
}

// root binds all leaves of the range; for a whole block it is its subtree.
func (r *compactRange) root() Hash {
	root := r.nodes[len(r.nodes)-1].hash
	for i := len(r.nodes) - 2; i >= 0; i-- {
		root = nodeHash(r.nodes[i].hash, root)
	}
	return root
}

// piece is what is kept of consecutive lines of one block: enough to go on with
// the tree and with the index.
type piece struct {
	first  uint64
	offset int64 // in its segment
	bytes  int64
	id     Hash // the first line's
	tree   compactRange
	prints []uint16 // for each line the first two bytes of its hash
	times  times

	unreadable int // lines that do not decode, where that was asked for
}

func (p *piece) end() uint64 { return p.first + uint64(len(p.prints)) }

// add takes in the line that follows. It ends the piece when the line ends a block.
func (p *piece) add(l hashedLine) (full bool) {
	seq := p.end()
	if len(p.prints) == 0 {
		p.id, p.tree.end = l.hash, seq
	}
	p.prints = append(p.prints, uint16(l.hash[0])<<8|uint16(l.hash[1]))
	p.bytes += int64(l.length)
	p.times.add(times{l.time, l.time})
	p.tree.add(subtree{0, l.hash})
	return (seq+1)%blockSize == 0
}

// pieces cuts lines that follow one another at the ends of blocks.
func pieces(first uint64, offset int64, lines []hashedLine) (list []piece) {
	p := piece{first: first, offset: offset}
	for _, l := range lines {
		if p.add(l) {
			list = append(list, p)
			p = piece{first: p.end(), offset: p.offset + p.bytes}
		}
	}
	if len(p.prints) > 0 {
		list = append(list, p)
	}
	return list
}
