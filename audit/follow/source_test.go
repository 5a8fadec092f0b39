package follow

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func FuzzSource(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"), uint8(3))
	f.Fuzz(func(t *testing.T, content []byte, cuts uint8) {
		p := newPair(t)
		s := source{fsys: p.disk, path: followedPath, now: p.clock}
		defer s.close()
		step := len(content)/(int(cuts%8)+1) + 1
		var got []byte
		for at := 0; at < len(content); at += step {
			p.writeText(string(content[at:min(at+step, len(content))]))
			if s.file == nil {
				p.must(s.open(followedPath, 0))
			}
			for {
				l, ok, err := s.peek()
				p.must(err)
				if !ok {
					break
				}
				got = append(append(got, l.text...), '\n')
				s.take(l)
			}
		}
		if want := content[:bytes.LastIndexByte(content, '\n')+1]; !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Of what stands beside a followed file only what logrotate makes of it is read, by
// exact names, and never a file of the log that is written.
func TestRotatedNames(t *testing.T) {
	p := newPair(t)
	p.o.Path = filepath.Dir(followedPath) + "/" + filepath.Base(followedPath) + "-1" // a log with the name of a rotated file
	p.must(p.start())
	defer p.kill()
	rotated := []string{".1", ".12", "-20261124", "-20261124-1700000000", ".2026-11-24-10"}
	others := []string{".1.gz", ".bak", "-backup.tar", "-", ".", "..1", "-2024.jsonl", "-20261124-", ".1~", "1"}
	for _, suffix := range append(rotated, others...) {
		f, err := p.disk.OpenFile(followedPath+suffix, os.O_CREATE|os.O_WRONLY, 0o600)
		p.must(err)
		p.must(f.Close())
	}
	list, err := p.f.src.rotated()
	p.must(err)
	var got []string
	for _, r := range list {
		got = append(got, strings.TrimPrefix(r.name, followedPath))
	}
	slices.Sort(got)
	slices.Sort(rotated)
	if !slices.Equal(got, rotated) {
		t.Errorf("taken for rotated: %q, want %q", got, rotated)
	}
}
