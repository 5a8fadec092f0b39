package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// blame names the line that was changed among the records [from, size), which
// do not lead to the signed root: the first whose hash is not the one that the
// index remembers. Where no index does, it is err that tells what is known.
func (v *verifier) blame(c *chain, from, size uint64, err error) error {
	r := newReader(c, max(from, c.first()))
	defer r.Close()
	var ix *indexReader
	defer func() { ix.close() }()
	var e *entry
	for open := ""; r.Seq() < min(size, c.size()); {
		rec, readErr := r.Next()
		if readErr != nil {
			return errors.Join(err, readErr)
		}
		in, end := r.place()
		if in.path != open {
			open = in.path
			ix.close()
			var openErr error
			if ix, openErr = openIndex(v.opts.FS, v.files.index(in.first), in.first); openErr != nil {
				return err
			}
			e = nil
		}
		for e == nil || rec.Seq >= e.seq+uint64(len(e.prints)) {
			var indexErr error
			if e, indexErr = ix.next(); indexErr != nil {
				return err
			}
		}
		h := LeafHash(rec.Line)
		if rec.Seq >= e.seq && uint16(h[0])<<8|uint16(h[1]) != e.prints[rec.Seq-e.seq] {
			return &DamageError{
				File: in.path, Offset: end - int64(len(rec.Line)) - 1,
				Reason: fmt.Sprintf("line %d, record %d, was changed after it was signed", rec.Seq-in.first+1, rec.Seq),
			}
		}
	}
	return err
}

// openIndex opens the index that the entries of a segment are compared with.
func (v *verifier) openIndex(s segment) {
	v.indexBad = false
	var err error
	if v.index, err = openIndex(v.opts.FS, v.files.index(s.first), s.first); err != nil {
		v.derived(v.files.index(s.first), err)
	}
}

func (v *verifier) derived(path string, err error) {
	var damaged *IndexError
	switch {
	case v.indexBad || len(v.rep.Problems) > 0 && errors.Is(err, fs.ErrNotExist):
		return // a bare file has none
	case errors.Is(err, fs.ErrNotExist):
		err = &IndexError{path, 0, "it is gone"}
	case !errors.As(err, &damaged):
		err = &IndexError{path, 0, err.Error()}
	}
	v.indexBad = true
	v.rep.Derived = append(v.rep.Derived, err.Error())
}

// compare compares an entry made of the lines with that of the index.
func (v *verifier) compare(e *entry) {
	if v.index == nil || v.indexBad {
		return
	}
	at := v.index.at
	have, err := v.index.next()
	if errors.Is(err, io.EOF) && v.inUse && v.lastOne {
		v.indexBad = true // lines are written first, and the index is not waited for
		return
	}
	if errors.Is(err, io.EOF) {
		err = &IndexError{v.index.path, at, fmt.Sprintf("it ends at record %d", e.seq)}
	} else if err == nil && string(have.encode(nil)) != string(e.encode(nil)) {
		err = &IndexError{v.index.path, at, fmt.Sprintf("its entry of record %d does not fit the lines", e.seq)}
	}
	if err != nil {
		v.derived(v.index.path, err)
	}
}

// comparePart compares the entry of the block that the log ends in. The index of
// a log that is in use, or was not closed, lacks it.
func (v *verifier) comparePart(e *entry) {
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
		at := v.index.at
		if _, err := v.index.next(); !errors.Is(err, io.EOF) {
			if err == nil {
				err = &IndexError{v.index.path, at, "it goes on after the last line"}
			}
			v.derived(v.index.path, err)
		}
	}
	v.index.close()
	v.index = nil
}
