package segment

import (
	"path/filepath"
	"testing"
)

// Every name that a log makes is known again as what it is, and no name that is a
// byte away from one.
func TestNamesAreExact(t *testing.T) {
	f := Layout{Dir: "/d", Name: "audit"}
	ours := map[string]File{
		f.Segment(0):            {Kind: KindSegment},
		f.Segment(1<<64 - 1):    {Kind: KindSegment, First: 1<<64 - 1},
		f.Head(7):               {Kind: KindHead, First: 7},
		f.Index(7):              {Kind: KindIndex, First: 7},
		f.Index(7) + ".new":     {Kind: KindNewIndex, First: 7},
		f.Torn(7, 0):            {Kind: KindTorn, First: 7},
		f.Torn(7, 1<<62):        {Kind: KindTorn, First: 7, Offset: 1 << 62},
		f.Unsigned(7, 12):       {Kind: KindUnsigned, First: 7, Offset: 12},
		Unclaimed(f.Head(9)):    {Kind: KindUnclaimed, First: 9},
		f.Checkpoints():         {Kind: KindCheckpoints},
		f.Reserve():             {Kind: KindReserve},
		f.SealedDir():           {Kind: KindSealed},
		f.Successor():           {Kind: KindSuccessor},
		f.Lock():                {Kind: KindLock},
		Unclaimed(f.Segment(9)): {Kind: KindUnclaimed, First: 9},
	}
	for path, want := range ours {
		name := filepath.Base(path)
		if got, ok := f.Parse(name); !ok || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, ok, want)
		}
		for i := range name {
			other := name[:i] + name[i+1:]
			if file, ok := f.Parse(other); ok && other != filepath.Base(f.Torn(7, file.Offset)) && other != filepath.Base(f.Unsigned(7, file.Offset)) {
				t.Errorf("%s is taken for ours", other)
			}
			if other := name[:i] + "~" + name[i:]; f.Owns(other) {
				t.Errorf("%s is taken for ours", other)
			}
		}
		for _, other := range []string{name + ".bak", name + "~", name + ".gz", "x" + name, name + ".1"} {
			if f.Owns(other) {
				t.Errorf("%s is taken for ours", other)
			}
		}
	}
	for _, other := range []string{
		"audit-backup.tar", "audit-2024.jsonl", "audit-", "audit", "",
		"audit-b-00000000000000000000.jsonl", "audit-99999999999999999999.jsonl", "audit-+0000000000000000001.jsonl",
		"audit-00000000000000000000-01.torn", "audit-00000000000000000000--1.torn", "audit-00000000000000000000-.torn",
		"audit-00000000000000000000.index.old", "audit-0000000000000000000x.segment",
	} {
		if f.Owns(other) {
			t.Errorf("%s is taken for ours", other)
		}
	}
}
