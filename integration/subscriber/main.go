// Command subscriber prints the events of a mesh as they come. It is a plain
// libp2p pubsub program, built on nothing of auditmesh but docs/formats.md
// ("Wire"): the topic, the fields of a batch, and zstd. Its peer id must be on the
// nodes' lists of members. It trusts the nodes that it is connected to; one that
// does not verifies the checkpoint, as the same page says.
//
//	subscriber KEYFILE                      prints its peer id, making the key if need be
//	subscriber KEYFILE TASKLIST ADDRESS...  prints "<node> <event>", a line each
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log"
	"os"

	"github.com/klauspost/compress/zstd"
	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"
)

func main() {
	key, err := loadKey(os.Args[1])
	check(err)
	ctx := context.Background()
	h, err := libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs)
	check(err)
	if len(os.Args) == 2 {
		fmt.Println(h.ID())
		return
	}
	messageID := func(m *pb.Message) string { id := sha256.Sum256(m.GetData()); return string(id[:]) }
	ps, err := pubsub.NewGossipSub(ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMaxMessageSize(1<<20+64<<10), pubsub.WithMessageIdFn(messageID))
	check(err)
	topic, err := ps.Join("auditmesh/tasklist/" + os.Args[2])
	check(err)
	sub, err := topic.Subscribe()
	check(err)
	for _, addr := range os.Args[3:] {
		info, err := peer.AddrInfoFromString(addr)
		check(err)
		check(h.Connect(ctx, *info))
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1<<20))
	check(err)
	for {
		msg, err := sub.Next(ctx)
		check(err)
		node, lines, compressed := "", []byte(nil), false
		for raw := msg.Data; len(raw) > 0; {
			_, _, tag := protowire.ConsumeTag(raw)
			number, kind, size := protowire.ConsumeField(raw)
			if size < 0 {
				break // not a batch
			}
			switch value, _ := protowire.ConsumeBytes(raw[tag:size]); {
			case number == 2 && kind == protowire.BytesType:
				node = string(value)
			case number == 8 && kind == protowire.BytesType:
				lines = value
			case number == 7 && kind == protowire.VarintType:
				compressed = raw[tag] == 1
			}
			raw = raw[size:]
		}
		if compressed {
			lines, err = dec.DecodeAll(lines, nil)
			check(err)
		}
		for line := range bytes.Lines(lines) {
			fmt.Printf("%s %s", node, line)
		}
	}
}

func loadKey(path string) (crypto.PrivKey, error) {
	if raw, err := os.ReadFile(path); err == nil {
		return crypto.UnmarshalPrivateKey(raw)
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	check(err)
	raw, err := crypto.MarshalPrivateKey(key)
	check(err)
	return key, os.WriteFile(path, raw, 0o600)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
