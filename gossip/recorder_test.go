package gossip

import (
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// recorder is a stream that keeps what is written to it.
type recorder struct {
	network.Stream
	w io.Writer
}

func (r *recorder) Write(p []byte) (int, error)    { return r.w.Write(p) }
func (*recorder) SetWriteDeadline(time.Time) error { return nil }
