package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

const (
	formatsDoc   = "../docs/formats.md"
	exampleBegin = "<!-- The example is what TestFormatsExample makes: go test ./audit -run FormatsExample -update -->\n"
	exampleEnd   = "<!-- End of the example. -->\n"
)

// The worked example of docs/formats.md is what the code makes, to the byte. The
// hashes are made here once more, from the sentences of that page.
func TestFormatsExample(t *testing.T) {
	doc, err := os.ReadFile(formatsDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(doc), exampleBegin)
	got, after, ends := strings.Cut(rest, exampleEnd)
	if !begins || !ends {
		t.Fatalf("%s has no example between its two marks", formatsDoc)
	}
	want := formatsExample(t)
	if *update {
		if err := os.WriteFile(formatsDoc, []byte(before+exampleBegin+want+exampleEnd+after), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("the example in %s is not what the code makes; it makes:\n%s", formatsDoc, want)
	}
}

// hexLines is a hex dump of 32 bytes a line.
func hexLines(raw []byte) string {
	var b strings.Builder
	for len(raw) > 0 {
		n := min(32, len(raw))
		fmt.Fprintf(&b, "% x\n", raw[:n])
		raw = raw[n:]
	}
	return b.String()
}

func sha(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:]
}

// ended are lines as they stand in a file.
func ended(lines [][]byte) (all []byte) {
	for _, line := range lines {
		all = append(append(all, line...), '\n')
	}
	return all
}

// formatsExample makes the log of the example, and the text about it.
func formatsExample(t *testing.T) string {
	t.Helper()
	o := testOptions(t, 1)
	o.SegmentBytes = 60
	l := openLog(t, o)
	var lines [][]byte
	for i := range 3 {
		e, err := event.ParseInput(fmt.Appendf(nil, `{"event":"x-a","n":%d}`, i), uint64(1764000000000+i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.TrimSuffix(mustEncode(t, e), []byte("\n")))
	}
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	head, _ := l.Head()
	read := func(path string) []byte {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	dir := filepath.Dir(o.Path)
	first := read(filepath.Join(dir, "audit-00000000000000000000.jsonl"))
	second := read(filepath.Join(dir, "audit-00000000000000000002.jsonl"))

	zero, one := []byte{0}, []byte{1}
	leaves := [][]byte{sha(zero, lines[0]), sha(zero, lines[1]), sha(zero, lines[2])}
	pair := sha(one, leaves[0], leaves[1])
	root := sha(one, pair, leaves[2])
	if !bytes.Equal(root, head.Root[:]) || l.Size() != 3 || !bytes.Equal(first, ended(lines[:2])) || !bytes.Equal(second, ended(lines[2:])) {
		t.Fatalf("the log is not the example's: root %x and %s, %d records", root, head.Root, l.Size())
	}

	segmentHead := read(filepath.Join(dir, "audit-00000000000000000002.segment"))
	beforeCheck, check, _ := bytes.Cut(segmentHead, []byte(`"check": "`))
	sum := crc32.Checksum(fmt.Appendf(bytes.Clone(beforeCheck), "\"check\": \"%s", check[8:]), crc32.MakeTable(crc32.Castagnoli))
	if string(check[:8]) != fmt.Sprintf("%08x", sum) || !bytes.Contains(segmentHead, []byte(base64.StdEncoding.EncodeToString(pair))) {
		t.Fatalf("the head is not as the page says:\n%s", segmentHead)
	}

	public := o.Key.Public().(ed25519.PublicKey)
	peer := merkle.PeerID(public)
	name := "auditmesh/" + peer
	keyHash := sha([]byte(name+"\n"), one, public)[:4]
	signed, _, _ := strings.Cut(string(head.Note), "\n\n")
	signed += "\n"
	signature := ed25519.Sign(o.Key, []byte(signed))
	if !ed25519.Verify(public, []byte(signed), signature) || !strings.Contains(string(head.Note), "\n\n— "+name+" "+base64.StdEncoding.EncodeToString(append(bytes.Clone(keyHash), signature...))+"\n") {
		t.Fatalf("the note is not signed as the page says:\n%s", head.Note)
	}

	var b strings.Builder
	section := func(text string, block string) {
		fmt.Fprintf(&b, "%s\n\n```\n%s```\n\n", text, block)
	}
	section("**The key.** Its seed is 32 bytes `01`. This is the public half.", hexLines(public))
	section("The peer id is the base58btc of `00 24 08 01 12 20` and those bytes.", peer+"\n")
	section(fmt.Sprintf("**The lines.** A segment is full at 60 bytes here, so the first two records fill a segment: `audit-00000000000000000000.jsonl`, %d bytes.", len(first)), string(first))
	section(fmt.Sprintf("The third is in `audit-00000000000000000002.jsonl`, %d bytes, of which `audit.jsonl` is the other name.", len(second)), string(second))
	section("The bytes of record 0. The last one is the newline.", hexLines(append(bytes.Clone(lines[0]), '\n')))
	section("**The leaves.** `SHA-256(00 ‖ line)`, without the newline, of records 0, 1 and 2. The first is the log id.", hexLines(bytes.Join(leaves, nil)))
	section("**The root** of 2 records, which is `SHA-256(01 ‖ leaf 0 ‖ leaf 1)`. As the only complete subtree it is also the frontier at size 2.", hexLines(pair))
	section("The root of 3 records, `SHA-256(01 ‖ root of 2 ‖ leaf 2)`. The frontier at size 3 is the root of 2 and leaf 2.", hexLines(root))
	section("**The checkpoint.** These three lines, the last newline included, are signed.", signed)
	section(fmt.Sprintf("The key hash is the first 4 bytes of `SHA-256(name ‖ 0a ‖ 01 ‖ public key)`, where the name is `auditmesh/<peer id>`: `% x`. The signature is Ed25519's of the signed bytes.", keyHash), hexLines(signature))
	section("Key hash and signature together, in base64, end the note. This is what stands in `audit.checkpoints`, with an empty line after it.", string(head.Note))
	section("**The head** of the second segment, `audit-00000000000000000002.segment`. Its `frontier` is the root of 2 in base64. Its `check` is the CRC-32C of the same bytes with `\"check\": \"\"`.", string(segmentHead))
	section("**The last-signed state**, `state/last-signed.json`.", string(read(o.SignedPath)))
	return strings.TrimSuffix(b.String(), "\n")
}
