package segment

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"auditmesh/audit/disk"
	"auditmesh/audit/merkle"
)

// A segment's index is a file beside it, with an entry for each block of 256
// records (of the log, not of the segment): docs/formats.md, "Index". It is
// derived: it is never synced, what is missing or wrong is made anew from the
// lines, and what is read from it is believed only once its hashes led to a
// signed root.

const (
	indexMagic  = "auditmesh index\x001"
	indexHeader = 32
	indexEntry  = 8 + 8 + 8 + 4 + 8 + 8 + 32 + 2*merkle.BlockSize + 4
)

// blockEntry is one block of a segment, or the part of a block that is in it.
type blockEntry struct {
	seq    uint64
	offset int64
	bytes  int64
	times  times
	root   merkle.Hash // of the entry's lines alone: for a whole block, its subtree
	prints []uint16    // tells which line of a block was changed
}

func (e *blockEntry) whole() bool { return len(e.prints) == merkle.BlockSize }

var crcTable = crc32.MakeTable(crc32.Castagnoli)

func (e *blockEntry) encode(dst []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, e.seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.offset))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.bytes))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(e.prints)))
	dst = binary.LittleEndian.AppendUint64(dst, e.times.least)
	dst = binary.LittleEndian.AppendUint64(dst, e.times.most)
	dst = append(dst, e.root[:]...)
	for i := range merkle.BlockSize {
		var print uint16
		if i < len(e.prints) {
			print = e.prints[i]
		}
		dst = binary.LittleEndian.AppendUint16(dst, print)
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], crcTable))
}

// decode reads an entry. prints is only filled where it has room.
func (e *blockEntry) decode(raw []byte, prints []uint16) error {
	body := raw[:indexEntry-4]
	if crc32.Checksum(body, crcTable) != binary.LittleEndian.Uint32(raw[indexEntry-4:]) {
		return errors.New("its checksum is wrong")
	}
	u := binary.LittleEndian.Uint64
	e.seq, e.offset, e.bytes = u(body), int64(u(body[8:])), int64(u(body[16:]))
	n := binary.LittleEndian.Uint32(body[24:])
	e.times = times{u(body[28:]), u(body[36:])}
	copy(e.root[:], body[44:])
	if n == 0 || n > merkle.BlockSize-uint32(e.seq%merkle.BlockSize) || e.offset < 0 || e.bytes < int64(n) {
		return errors.New("it states what cannot be")
	}
	e.prints = prints[:n]
	for i := range e.prints {
		e.prints[i] = binary.LittleEndian.Uint16(body[76+2*i:])
	}
	return nil
}

func indexHead(first uint64) []byte {
	head := make([]byte, 0, indexHeader)
	head = append(head, indexMagic...)
	head = binary.LittleEndian.AppendUint64(head, first)
	head = append(head, make([]byte, indexHeader-4-len(head))...)
	return binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, crcTable))
}

// indexReader reads the entries of a segment's index in order. They follow one
// another without a hole.
type indexReader struct {
	path   string
	file   disk.File
	r      *bufio.Reader
	at     int64 // of the next entry
	seq    uint64
	offset int64
	entry  blockEntry
	prints []uint16
	raw    []byte
}

// openIndex opens the index of the segment that begins at first. Its errors are
// fs.ErrNotExist, *IndexError, and those of reading.
func openIndex(fsys disk.FS, path string, first uint64) (*indexReader, error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	r := &indexReader{
		path: path, file: f, r: bufio.NewReaderSize(f, 64<<10), at: indexHeader, seq: first,
		prints: make([]uint16, merkle.BlockSize), raw: make([]byte, indexEntry),
	}
	if _, err := io.ReadFull(r.r, r.raw[:indexHeader]); err != nil || string(r.raw[:indexHeader]) != string(indexHead(first)) {
		r.close()
		return nil, &IndexError{path, 0, "it is not an index of this segment"}
	}
	return r, nil
}

// Next returns the next entry, valid until the next call, or io.EOF, or an
// *IndexError; the entries before it were good.
func (r *indexReader) next() (*blockEntry, error) {
	_, err := io.ReadFull(r.r, r.raw)
	if errors.Is(err, io.EOF) {
		return nil, err
	}
	e := &r.entry
	if err == nil {
		err = e.decode(r.raw, r.prints)
	}
	if err == nil && (e.seq != r.seq || e.offset != r.offset) {
		err = fmt.Errorf("it is of record %d at byte %d, not of %d at %d", e.seq, e.offset, r.seq, r.offset)
	}
	if err != nil {
		return nil, &IndexError{r.path, r.at, err.Error()}
	}
	r.at += indexEntry
	r.seq, r.offset = e.seq+uint64(len(e.prints)), e.offset+e.bytes
	return e, nil
}

func (r *indexReader) close() {
	if r != nil {
		r.file.Close()
	}
}

// IndexError says that a file that is derived from the lines is not as it was
// left. The log is not touched by that; opening it makes the index anew.
type IndexError struct {
	File   string
	Offset int64
	Reason string
}

func (e *IndexError) Error() string {
	return fmt.Sprintf("%s: the index is damaged at byte %d: %s; it is derived from the lines and made anew when the log is next opened", e.File, e.Offset, e.Reason)
}

// indexWriter writes the index of one segment. A failure ends the writing and is
// remembered: nobody waits for an index. It is used by the log's writer only.
type indexWriter struct {
	fsys disk.FS
	path string
	file disk.File // nil after a failure, or once closed
	err  error
}

// newIndexWriter goes on with a segment's index after its first n entries. With
// none it makes a new file.
func newIndexWriter(fsys disk.FS, path string, first uint64, n int) *indexWriter {
	w := &indexWriter{fsys: fsys, path: path}
	flag := os.O_CREATE | os.O_RDWR | os.O_APPEND
	if n == 0 {
		flag |= os.O_TRUNC
	}
	if w.file, w.err = fsys.OpenFile(path, flag, 0o600); w.err != nil {
		return w
	}
	if n == 0 {
		w.write(indexHead(first))
	} else {
		w.fail(w.file.Truncate(indexHeader + int64(n)*indexEntry))
	}
	return w
}

func (w *indexWriter) write(raw []byte) {
	if w.file == nil || len(raw) == 0 {
		return
	}
	_, err := w.file.Write(raw)
	w.fail(err)
}

func (w *indexWriter) fail(err error) {
	if err != nil {
		w.err = err
		w.close()
	}
}

func (w *indexWriter) close() {
	if w != nil && w.file != nil {
		w.file.Close() // derived: nothing is lost
		w.file = nil
	}
}
