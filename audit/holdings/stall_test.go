package holdings

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/merkle"

	"log/slog"
)

// While the disk stalls over the making of a copy, what is held of others can be
// read and listed.
func TestHoldingsAreReadableWhileACopyIsMade(t *testing.T) {
	d := disktest.NewDisk()
	h, err := Open(Options{FS: d, Dir: "/copies", Evidence: "/evidence", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	reached, release := make(chan struct{}, 100), make(chan struct{})
	d.SetFail(func(op disktest.Op) (error, bool) {
		if op.Name == "syncdir" && strings.HasPrefix(op.Path, "/copies") {
			reached <- struct{}{}
			<-release
		}
		return nil, false
	})
	v := verified(t, signedLog(t, 1), 0)
	done := make(chan error, 1)
	go func() {
		_, err := h.Extend(v)
		done <- err
	}()
	select {
	case <-reached:
	case err := <-done:
		t.Fatalf("nothing stalled: %v", err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		h.Logs()
		h.Log(merkle.LogName{})
		h.Offered()
		h.Damaged()
		h.Conflicts()
	}()
	select {
	case <-read:
	case <-time.After(10 * time.Second): // only a failure takes that long
		t.Error("what is held cannot be read while the disk stalls")
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-read
	if len(h.Logs()) != 1 {
		t.Errorf("%d logs are held", len(h.Logs()))
	}
}

// What other programs have beside the copies is not looked into, and no damage.
func TestOtherDirectoriesAreNoCopies(t *testing.T) {
	d := disktest.NewDisk()
	peer := merkle.PeerID(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey))
	id := strings.Repeat("ab", 32)
	others := []string{
		"/copies/lost+found/" + id, "/copies/" + peer + ".bak/" + id, "/copies/" + peer + "/" + id + ".bak",
		"/copies/" + peer + "/" + strings.ToUpper(id), "/copies/backup",
	}
	for _, dir := range others {
		if err := d.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h, err := Open(Options{FS: d, Dir: "/copies", Evidence: "/evidence", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if len(h.Damaged()) > 0 || len(h.Logs()) > 0 {
		t.Errorf("damaged %v, logs %v", h.Damaged(), h.Logs())
	}
	for _, dir := range others {
		if entries, err := d.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v", dir, entries, err)
		}
	}
}
