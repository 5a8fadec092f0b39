package follow

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

const followedPath = "/x0x/audit.jsonl"

var (
	testKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	testPeer = merkle.PeerID(testKey.Public().(ed25519.PublicKey))
)

// startedLine is a line such as x0x writes.
func startedLine(n int) string {
	return fmt.Sprintf(`{"event":"started","ts_unix_ms":%d,"request_id":"%032x","pid":%d}`+"\n", 1000+n, n, n)
}

// gapsIn are the gaps that a log tells of.
func gapsIn(t *testing.T, l *audit.Log) (list []*event.FollowGap) {
	t.Helper()
	r := l.Reader(0)
	defer r.Close()
	for r.Seq() < l.Size() {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e, err := event.Decode(rec.Line); err == nil {
			if gap, ok := e.(*event.FollowGap); ok {
				list = append(list, gap)
			}
		}
	}
	return list
}

// pair is a program that writes a file, and a log that follows it, on one disk.
type pair struct {
	t     *testing.T
	disk  *disktest.Disk
	o     audit.Options
	now   time.Time
	log   *audit.Log
	f     *Follower
	wrote []string // lines that the program wrote and synced
	n     int
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, disk: disktest.NewDisk(), now: time.Unix(1_795_000_000, 0)}
	p.o = audit.Options{Path: "/log/audit.jsonl", SignedPath: "/state/last-signed.json", Key: testKey, FS: p.disk, SegmentBytes: 3000, Now: p.clock}
	if err := audit.InitSignedState(p.disk, p.o.SignedPath, testPeer); err != nil {
		t.Fatal(err)
	}
	if err := disk.MkdirAll(p.disk, filepath.Dir(followedPath), 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pair) clock() time.Time { return p.now }

// start opens the log and the follower, as a new process does.
func (p *pair) start() (err error) {
	if p.log, err = audit.OpenOrCreate(p.o); err != nil {
		return err
	}
	p.f = New(p.log, Options{Path: followedPath, CursorPath: "/state/followed.json", FS: p.disk, Now: p.clock})
	return nil
}

// kill ends the process without a word; the disk stays as programs see it.
func (p *pair) kill() {
	if p.log != nil {
		p.disk.Kill()
		p.f.src.close()
	}
	p.log = nil
}

// settle follows until nothing is left to do.
func (p *pair) settle() error {
	for range 8 {
		err := p.f.step(p.t.Context())
		p.now = p.now.Add(rotatedQuiet)
		if errors.Is(err, audit.ErrPoisoned) || errors.Is(err, audit.ErrInDoubt) {
			err = p.log.Recover()
			p.f.certain = false
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write appends lines to the followed file as x0x does: opened for each, synced.
func (p *pair) write(n int) {
	p.t.Helper()
	for range n {
		line := startedLine(p.n)
		switch p.n % 7 {
		case 3:
			line = "spoilt " + fmt.Sprint(p.n) + "\n"
		case 5:
			line = "\n"
		}
		p.n++
		p.writeText(line)
	}
}

func (p *pair) writeText(text string) {
	p.t.Helper()
	f, err := p.disk.OpenFile(followedPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write([]byte(text))
		err = errors.Join(err, f.Sync(), f.Close(), p.disk.SyncDir("/x0x"))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.wrote = append(p.wrote, text)
}

func (p *pair) rename(to string) {
	p.t.Helper()
	if err := errors.Join(p.disk.Rename(followedPath, to), p.disk.SyncDir("/x0x")); err != nil {
		p.t.Fatal(err)
	}
}

// copyTruncate is what logrotate does with that option.
func (p *pair) copyTruncate(to string) {
	p.t.Helper()
	if _, err := disk.CopyFrom(p.disk, followedPath, 0, to); err != nil {
		p.t.Fatal(err)
	}
	if err := errors.Join(p.disk.SyncDir("/x0x"), disk.Cut(p.disk, followedPath, 0)); err != nil {
		p.t.Fatal(err)
	}
}

// check compares the log's lines with what was written: each once, in order. own
// are records that are not of the file.
func (p *pair) check() error {
	var got []string
	r := p.log.Reader(0)
	defer r.Close()
	for r.Seq() < p.log.Size() {
		rec, err := r.Next()
		if err != nil {
			return err
		}
		line := string(rec.Ended())
		if e, err := event.Decode(rec.Line); err == nil {
			switch e := e.(type) {
			case *event.FollowBytes:
				line = string(e.Line) + "\n"
			case *event.FollowGap, *event.Application:
				continue
			}
		}
		got = append(got, line)
	}
	want := strings.SplitAfter(strings.Join(p.wrote, ""), "\n")
	want = want[:len(want)-1]
	if !slices.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		return fmt.Errorf("%d lines, want %d; from line %d on\n got %q\nwant %q", len(got), len(want), i, got[i:min(len(got), i+3)], want[i:min(len(want), i+3)])
	}
	return nil
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// A file that is there already is followed from its beginning: garbage as it is;
// what cannot be a record as it is, in another form; an unfinished line once it is
// finished. Nothing is copied again after a restart, nor if the cursor is lost.
func TestFollow(t *testing.T) {
	p := newPair(t)
	p.write(20)
	p.writeText("power\x00\x00cut\n")
	p.writeText(`{"event":"task_removed","ts_unix_ms":1,"request_id":null,"ranges":[],"reason":"not ours to say"}` + "\n")
	p.writeText("\xff\xfe\n")
	p.must(p.start())
	p.must(p.settle())
	p.must(p.check())
	p.writeText(`{"event":"x-begun"`)
	p.must(p.settle())
	size := p.log.Size()
	p.writeText(",\"n\":1}\n")
	p.must(p.settle())
	if p.log.Size() != size+1 {
		t.Errorf("%d records after a line was finished, %d before", p.log.Size(), size)
	}
	size = p.log.Size()
	for _, lose := range []bool{false, true} {
		p.f.save()
		p.kill()
		if lose {
			p.must(p.disk.Remove("/state/followed.json"))
		}
		p.must(p.start())
		p.must(p.settle())
		if p.log.Size() != size {
			t.Fatalf("cursor lost=%v: %d records, %d before the restart", lose, p.log.Size(), size)
		}
	}
	// A line longer than a record may be is told of.
	long := strings.Repeat("l", merkle.MaxLine)
	p.writeText(long + "\n")
	p.writeText(long[1:] + "\n")
	p.must(p.settle())
	gaps := gapsIn(t, p.log)
	if len(gaps) != 1 || gaps[0].Bytes != merkle.MaxLine+1 || p.log.Size() != size+2 {
		t.Errorf("%d records, gaps: %+v", p.log.Size(), gaps)
	}
	if st := p.f.Status(); st.Gaps != 1 || st.Path != followedPath {
		t.Errorf("status: %+v", st)
	}
}

// Fault 13, of the followed file: however it is rotated, seen or unseen, each line
// is copied once; what is gone is said to be gone, once.
func TestFollowRotation(t *testing.T) {
	for name, c := range map[string]struct {
		rotate func(p *pair)
		gaps   int
	}{
		"rename": {func(p *pair) {
			p.rename(followedPath + ".1")
			p.write(5)
		}, 0},
		"rename, and the writer is late": {func(p *pair) {
			p.rename(followedPath + ".1")
			p.writeText("new\n")
			p.must(p.f.step(p.t.Context()))
			f, err := p.disk.OpenFile(followedPath+".1", os.O_APPEND|os.O_WRONLY, 0)
			p.must(err)
			_, err = f.Write([]byte("late\n"))
			p.must(errors.Join(err, f.Sync(), f.Close()))
			p.wrote = append(p.wrote[:len(p.wrote)-1], "late\n", "new\n")
			p.write(5)
		}, 0},
		"copytruncate": {func(p *pair) {
			p.copyTruncate(followedPath + "-20261124")
			p.write(2)
		}, 0},
		"copytruncate, and grown beyond what it was": {func(p *pair) {
			p.must(p.f.step(p.t.Context()))
			p.f.save()
			p.copyTruncate(followedPath + ".1")
			p.write(40)
		}, 0},
		"twice": {func(p *pair) {
			p.rename(followedPath + ".2")
			p.write(5)
			p.rename(followedPath + ".1")
			p.write(5)
		}, 0},
		"unfinished": {func(p *pair) {
			p.writeText("never ended")
			p.rename(followedPath + ".1")
			p.wrote = append(p.wrote, "\n") // as a record has it
			p.write(5)
		}, 0},
		"shorter after a power cut": {func(p *pair) {
			last := p.wrote[len(p.wrote)-1]
			info, err := p.disk.Stat(followedPath)
			p.must(err)
			p.must(disk.Cut(p.disk, followedPath, info.Size()-int64(len(last))))
			p.write(5)
		}, 1},
		"compressed at once": {func(p *pair) {
			p.must(p.disk.Remove(followedPath))
			p.write(5)
		}, 1},
	} {
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,down=%v", name, down), func(t *testing.T) {
				p := newPair(t)
				p.write(11)
				p.must(p.start())
				p.must(p.settle())
				p.f.save()
				if down {
					defer func() { p.must(p.check()) }()
				}
				if down && name != "rename, and the writer is late" {
					p.kill()
					p.rotateDown(c.rotate)
					p.must(p.start())
				} else {
					c.rotate(p)
				}
				p.must(p.settle())
				p.write(3)
				p.must(p.settle())
				p.must(p.check())
				want := c.gaps
				if !down && name == "compressed at once" {
					want = 0 // the open file is read to its end
				}
				for range 2 {
					if gaps := gapsIn(t, p.log); len(gaps) != want {
						t.Errorf("%d gaps recorded, want %d: %+v", len(gaps), want, gaps)
					}
					p.kill()
					p.must(p.start())
					p.must(p.settle())
					p.must(p.check())
				}
			})
		}
	}
}

// rotateDown rotates while no follower runs.
func (p *pair) rotateDown(rotate func(*pair)) {
	idle := New(nil, Options{Path: followedPath, FS: p.disk, Now: p.clock})
	idle.opts.CursorPath = "/state/none.json"
	p.f = idle
	defer func() { p.f = nil }()
	if p.log == nil {
		o := p.o
		o.Path, o.SignedPath = "/elsewhere/audit.jsonl", "/elsewhere-state/s.json"
		p.must(audit.InitSignedState(p.disk, o.SignedPath, testPeer))
		l, err := audit.OpenOrCreate(o)
		p.must(err)
		idle.log = l
		defer func() { p.must(l.Close()) }()
	}
	rotate(p)
}

// Every operation of the log's side fails or crashes, and processes are killed, at
// random places of following over rotations: each synced line is copied once.
func TestFollowCrash(t *testing.T) {
	for variant := range 4 {
		after, power := variant&1 > 0, variant&2 > 0
		t.Run(fmt.Sprintf("effect=%v,power=%v", after, power), func(t *testing.T) {
			t.Parallel()
			for k := 0; followCrashAt(t, k, after, power); k++ {
				if k > 5000 {
					t.Fatal("it does not end")
				}
			}
		})
	}
}

func followCrashAt(t *testing.T, k int, after, power bool) bool {
	t.Helper()
	p := newPair(t)
	rng := rand.New(rand.NewPCG(uint64(k), 7))
	n, hit := 0, false
	arm := func() {
		p.disk.SetFail(func(op disktest.Op) (error, bool) {
			if strings.HasPrefix(op.Path, "/x0x") || strings.Contains(op.Path, ".index") {
				return nil, false
			}
			n++
			if n-1 != k {
				return nil, false
			}
			hit = true
			if power {
				p.disk.Crash()
			}
			return syscall.EIO, after
		})
	}
	script := []func(){
		func() { p.write(4) }, func() { p.write(9) }, func() { p.rename(followedPath + ".2"); p.write(3) }, func() { p.write(30) },
		func() { p.copyTruncate(followedPath + ".1"); p.write(2) }, func() { p.write(6) },
	}
	live := func(step func()) error {
		p.disk.SetFail(nil) // the other program's writes do not fail
		step()
		arm()
		if p.log == nil {
			if err := p.start(); err != nil {
				return err
			}
		}
		if _, err := p.log.Append(t.Context(), &event.Application{EventName: "x-own", TSUnixMS: 1, Body: []byte(`{"event":"x-own","ts_unix_ms":1}`)}); err != nil && !errors.Is(err, audit.ErrInDoubt) && !errors.Is(err, audit.ErrPoisoned) {
			return err
		}
		err := p.settle()
		if rng.IntN(3) == 0 {
			p.f.save()
		}
		if rng.IntN(4) == 0 {
			p.kill()
		}
		return err
	}
	for _, step := range script {
		if err := live(step); err == nil {
			continue
		}
		// The process ends, or the machine.
		p.disk.SetFail(nil)
		p.kill()
		if _, err := p.disk.ReadDir("/log"); errors.Is(err, disktest.ErrCrashed) {
			p.disk.Restart(disktest.KeepSome(rng))
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	p.disk.SetFail(nil)
	if p.log == nil {
		if err := p.start(); err != nil {
			t.Fatalf("operation %d: %v\n%s", k, err, p.disk)
		}
	}
	if err := p.settle(); err != nil {
		t.Fatalf("operation %d: %v\n%s", k, err, p.disk)
	}
	if err := p.check(); err != nil {
		t.Fatalf("operation %d: %v\n%s", k, err, p.disk)
	}
	if gaps := gapsIn(t, p.log); len(gaps) > 0 {
		t.Fatalf("operation %d: a gap was recorded where there is none: %+v", k, gaps[0])
	}
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
	return hit
}
