package follow

import (
	"bytes"
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
