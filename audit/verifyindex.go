package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"auditmesh/audit/merkle"
	"auditmesh/audit/segment"
)

// blame names the line that was changed among the records [from, size), which
// do not lead to the signed root: the first whose hash is not the one that the
// index remembers. Where no index does, it is err that tells what is known.
func (v *verifier) blame(c *segment.Sequence, from, size uint64, err error) error {
	r := segment.NewReader(c, max(from, c.First()))
	defer r.Close()
	var ix *segment.IndexReader
	defer func() { ix.Close() }()
	var e *segment.BlockEntry
	for open := ""; r.Seq() < min(size, c.Size()); {
		rec, readErr := r.Next()
		if readErr != nil {
			return errors.Join(err, readErr)
		}
		in, end := r.Place()
		if in.Path != open {
			open = in.Path
			ix.Close()
			var openErr error
			if ix, openErr = segment.OpenIndex(v.opts.FS, v.files.Index(in.First), in.First); openErr != nil {
				return err
			}
			e = nil
		}
		for e == nil || rec.Seq >= e.Seq+uint64(len(e.Prints)) {
			var indexErr error
			if e, indexErr = ix.Next(); indexErr != nil {
				return err
			}
		}
		h := merkle.LeafHash(rec.Line)
		if rec.Seq >= e.Seq && uint16(h[0])<<8|uint16(h[1]) != e.Prints[rec.Seq-e.Seq] {
			return &segment.DamageError{
				File: in.Path, Offset: end - int64(len(rec.Line)) - 1,
				Reason: fmt.Sprintf("line %d, record %d, was changed after it was signed", rec.Seq-in.First+1, rec.Seq),
			}
		}
	}
	return err
}

// openIndex opens the index that the entries of a segment are compared with.
func (v *verifier) openIndex(s segment.Segment) {
	v.indexBad = false
	var err error
	if v.index, err = segment.OpenIndex(v.opts.FS, v.files.Index(s.First), s.First); err != nil {
		v.derived(v.files.Index(s.First), err)
	}
}

func (v *verifier) derived(path string, err error) {
	var damaged *segment.IndexError
	switch {
	case v.indexBad || len(v.rep.Problems) > 0 && errors.Is(err, fs.ErrNotExist):
		return // a bare file has none
	case errors.Is(err, fs.ErrNotExist):
		err = &segment.IndexError{File: path, Offset: 0, Reason: "it is gone"}
	case !errors.As(err, &damaged):
		err = &segment.IndexError{File: path, Offset: 0, Reason: err.Error()}
	}
	v.indexBad = true
	v.rep.Derived = append(v.rep.Derived, err.Error())
}

// compare compares an entry made of the lines with that of the index.
func (v *verifier) compare(e *segment.BlockEntry) {
	if v.index == nil || v.indexBad {
		return
	}
	at := v.index.At
	have, err := v.index.Next()
	if errors.Is(err, io.EOF) && v.inUse && v.lastOne {
		v.indexBad = true // lines are written first, and the index is not waited for
		return
	}
	if errors.Is(err, io.EOF) {
		err = &segment.IndexError{File: v.index.Path, Offset: at, Reason: fmt.Sprintf("it ends at record %d", e.Seq)}
	} else if err == nil && string(have.Encode(nil)) != string(e.Encode(nil)) {
		err = &segment.IndexError{File: v.index.Path, Offset: at, Reason: fmt.Sprintf("its entry of record %d does not fit the lines", e.Seq)}
	}
	if err != nil {
		v.derived(v.index.Path, err)
	}
}

// comparePart compares the entry of the block that the log ends in. The index of
// a log that is in use, or was not closed, lacks it.
func (v *verifier) comparePart(e *segment.BlockEntry) {
	if !v.inUse && v.index != nil {
		v.compare(e)
	}
}

// closeIndex looks for entries beyond the lines.
func (v *verifier) closeIndex(whole bool) {
	if v.index == nil {
		return
	}
	if whole && !v.indexBad {
		at := v.index.At
		if _, err := v.index.Next(); !errors.Is(err, io.EOF) {
			if err == nil {
				err = &segment.IndexError{File: v.index.Path, Offset: at, Reason: "it goes on after the last line"}
			}
			v.derived(v.index.Path, err)
		}
	}
	v.index.Close()
	v.index = nil
}
