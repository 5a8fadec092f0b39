package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/event"
)

func diskConfig() Config { return DefaultConfig("/srv/node") }

// openOn opens the log of an identity on a disk, appends a record, and closes it
// without a signature of it where the disk fails.
func appendOn(t *testing.T, fsys disk.FS, c Config, id Identity, n int) error {
	t.Helper()
	l, err := audit.OpenOrCreate(audit.Options{Path: c.LogPath(), SignedPath: c.SignedPath(), Key: id.Key, FS: fsys})
	if err != nil {
		return err
	}
	e, err := event.ParseInput(fmt.Appendf(nil, `{"event":"x-n","n":%d}`, n), 1)
	if err == nil {
		_, err = l.Append(t.Context(), e)
	}
	return errors.Join(err, l.Close())
}

// recordsOn counts the records of the log.
func recordsOn(t *testing.T, fsys disk.FS, c Config, id Identity) uint64 {
	t.Helper()
	l, err := audit.OpenOrCreate(audit.Options{Path: c.LogPath(), SignedPath: c.SignedPath(), Key: id.Key, FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Size()
}

// Fault 46: a crash at any operation of the first use, in every way in which a power
// cut may treat what was not synced, leaves a directory that the next start
// completes. Who saw the identity before the crash, and used it, finds it again.
func TestIdentityCrashAtEveryOperation(t *testing.T) {
	crashes := 0
	for k, done := 0, false; !done; k++ {
		for _, after := range []bool{false, true} {
			for try := range 12 {
				keep := map[int]func() bool{0: func() bool { return false }, 1: func() bool { return true }}[try]
				if keep == nil {
					keep = disktest.KeepSome(rand.New(rand.NewPCG(uint64(k), uint64(try))))
				}
				if !identityCrash(t, k, after, keep) {
					done = true
				} else {
					crashes++
				}
			}
		}
	}
	if crashes < 100 {
		t.Errorf("only %d crashes were tried", crashes)
	}
}

// identityCrash crashes at operation k, and says whether there was one.
func identityCrash(t *testing.T, k int, after bool, keep func() bool) bool {
	t.Helper()
	c, d := diskConfig(), disktest.NewDisk()
	where := ""
	ops := 0
	var used Identity // by another process that saw it, just before the crash
	d.SetFail(func(op disktest.Op) (error, bool) {
		if ops++; ops <= k {
			return nil, false
		}
		where = fmt.Sprintf("operation %d, %s %s, after it %v", k, op.Name, op.Path, after)
		d.SetFail(nil)
		if id, err := loadIdentity(d, c); err == nil {
			if err := appendOn(t, d, c, id, 1); err != nil {
				t.Fatalf("%s: who saw the identity cannot use it: %v", where, err)
			}
			used = id
		}
		if !after {
			d.Crash()
		}
		return errors.New("crash"), after
	})
	first, err := ensureIdentity(t.Context(), d, c)
	if where == "" && err != nil {
		t.Fatal(err)
	}
	if after {
		d.Crash()
	}
	d.Restart(keep)
	second, err := ensureIdentity(t.Context(), d, c)
	if err != nil {
		t.Fatalf("%s: the next start: %v\n%s", where, err, d)
	}
	if where == "" && second.Peer != first.Peer {
		t.Fatalf("%s was made, %s is there after a power cut", first.Peer, second.Peer)
	}
	if used.Peer != "" {
		if second.Peer != used.Peer {
			t.Fatalf("%s: %s was used, %s is there after the power cut\n%s", where, used.Peer, second.Peer, d)
		}
		if n := recordsOn(t, d, c, second); n != 1 {
			t.Fatalf("%s: %d records, 1 was acknowledged", where, n)
		}
	}
	if err := appendOn(t, d, c, second, 2); err != nil {
		t.Fatalf("%s: the log of the next start: %v\n%s", where, err, d)
	}
	if third, err := ensureIdentity(t.Context(), d, c); err != nil || third.Peer != second.Peer {
		t.Fatalf("%s: %s, then %s, %v", where, second.Peer, third.Peer, err)
	}
	return where != ""
}

// An operation that fails, without a crash, is an error; the next call completes.
func TestIdentityFailureAtEveryOperation(t *testing.T) {
	for k := 0; ; k++ {
		c, d := diskConfig(), disktest.NewDisk()
		ops, failed := 0, false
		d.SetFail(func(op disktest.Op) (error, bool) {
			if ops++; ops-1 == k {
				failed = true
				return errors.New("injected"), false
			}
			return nil, false
		})
		first, err := ensureIdentity(t.Context(), d, c)
		if !failed {
			return
		}
		d.SetFail(nil)
		second, again := ensureIdentity(t.Context(), d, c)
		if again != nil {
			t.Fatalf("operation %d: %v, and then %v", k, err, again)
		}
		if err == nil && first.Peer != second.Peer {
			t.Fatalf("operation %d: %s, and then %s", k, first.Peer, second.Peer)
		}
		if err := appendOn(t, d, c, second, 1); err != nil {
			t.Fatalf("operation %d: %v", k, err)
		}
	}
}

// Many at one time get one identity.
func TestIdentityOfManyAtOnce(t *testing.T) {
	c := DefaultConfig(filepath.Join(t.TempDir(), "a", "b"))
	var wg sync.WaitGroup
	got := make([]string, 32)
	for i := range got {
		wg.Go(func() {
			id, err := EnsureIdentity(t.Context(), c)
			if err != nil {
				t.Error(err)
			}
			got[i] = id.Peer
		})
	}
	wg.Wait()
	for _, peer := range got {
		if peer == "" || peer != got[0] {
			t.Fatalf("identities %v", got)
		}
	}
	if left, err := filepath.Glob(filepath.Join(c.DataDir, "*.new")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	info, err := os.Stat(c.identityPath())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Who waits for the lock ends with its context.
func TestIdentityWaitEnds(t *testing.T) {
	c, d := diskConfig(), disktest.NewDisk()
	if err := disk.MkdirAll(d, c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := d.Lock(c.identityLockPath())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ensureIdentity(ctx, d, c); !errors.Is(err, disk.ErrLocked) {
		t.Fatalf("while another makes it: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := ensureIdentity(t.Context(), d, c); err != nil {
		t.Fatal(err)
	}
}

// Fault 40: a key that is gone is not made anew where anything was signed.
func TestLostKeyIsNotMadeAnew(t *testing.T) {
	for name, spoil := range map[string]func(c Config) error{
		"nothing else is gone":       func(Config) error { return nil },
		"the state is gone too":      func(c Config) error { return os.Remove(c.SignedPath()) },
		"the state is noise":         func(c Config) error { return os.WriteFile(c.SignedPath(), []byte("noise"), 0o600) },
		"a key of another's is new":  func(c Config) error { return writeKey(t, c.newKeyPath()) },
		"a new key is cut short":     func(c Config) error { return os.WriteFile(c.newKeyPath(), []byte{8, 1}, 0o600) },
		"only sealed logs are there": sealAll,
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig(t.TempDir())
			id, err := EnsureIdentity(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if err := appendOn(t, disk.OS{}, c, id, 1); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(c.identityPath()), spoil(c)); err != nil {
				t.Fatal(err)
			}
			if _, err := EnsureIdentity(t.Context(), c); err == nil || !strings.Contains(err.Error(), "identity key "+c.identityPath()+" is gone") {
				t.Errorf("made anew: %v", err)
			}
			if _, err := os.Stat(c.identityPath()); err == nil {
				t.Error("there is a key")
			}
		})
	}
}

func sealAll(c Config) error {
	log := filepath.Dir(c.LogPath())
	return errors.Join(os.Remove(c.SignedPath()), os.RemoveAll(log), os.MkdirAll(filepath.Join(log, "audit.sealed"), 0o700))
}

func writeKey(t *testing.T, path string) error {
	other := DefaultConfig(t.TempDir())
	if _, err := EnsureIdentity(t.Context(), other); err != nil {
		return err
	}
	raw, err := os.ReadFile(other.identityPath())
	return errors.Join(err, os.WriteFile(path, raw, 0o600))
}

// Fault 38, and what else may stand at the key's place.
func TestLoadIdentityRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"others can read it": {"", 0o640, "chmod 600"},
		"noise":              {"noise", 0o600, "is damaged"},
		"too long":           {strings.Repeat("x", maxKeyFile+1), 0o600, "larger than the limit"},
		"another kind":       {"\x08\x02\x12\x20" + strings.Repeat("k", 32), 0o600, "is not an Ed25519 key"}, // secp256k1
	} {
		cfg := DefaultConfig(t.TempDir())
		if _, err := LoadIdentity(cfg); !errors.Is(err, ErrNoIdentity) {
			t.Fatalf("without a key: %v", err)
		}
		if err := os.WriteFile(cfg.identityPath(), []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadIdentity(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
