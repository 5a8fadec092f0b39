package holdings

import (
	"strings"
	"testing"
	"time"

	"auditmesh/audit/disk/disktest"
	"auditmesh/audit/merkle"

	"go.uber.org/zap"
)

// While the disk stalls over the making of a copy, what is held of others can be
// read and listed.
func TestHoldingsAreReadableWhileACopyIsMade(t *testing.T) {
	d := disktest.NewDisk()
	h, err := Open(Options{FS: d, Dir: "/copies", Evidence: "/evidence", Logger: zap.NewNop()})
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
