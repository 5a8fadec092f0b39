package main

import (
	"fmt"
	"io"
	"os"

	"auditmesh/audit/merkle"
	"auditmesh/internal/api"
)

type proofCmd struct {
	Make  proofMakeCmd  `cmd:"" default:"withargs" help:"Prove a record: a C2SP tlog-proof that holds it, on standard output."`
	Check proofCheckCmd `cmd:"" help:"Check a proof, without a node, and print the record."`
	Head  proofHeadCmd  `cmd:"" help:"Print the last checkpoint of a log, for keeping elsewhere."`
	Since proofSinceCmd `cmd:"" help:"Prove that the log still begins with what a checkpoint stated."`
}

// whichLog names a log.
type whichLog struct {
	Node string `help:"Of this node: its peer id, or the end of it. Default: the own one." placeholder:"PEER"`
	Log  string `help:"Of the log with this id, where the node has several." placeholder:"ID"`
}

type proofMakeCmd struct {
	Seq uint64 `arg:"" help:"The record's number in its log, from 0."`
	whichLog
}

// Run prints the proof.
func (c *proofMakeCmd) Run(a *app) error {
	return a.printText(c.Node, func(client *api.Client, node string) ([]byte, error) {
		return client.Prove(a.ctx, node, c.Log, c.Seq)
	})
}

type proofHeadCmd struct{ whichLog }

// Run prints the checkpoint.
func (c *proofHeadCmd) Run(a *app) error {
	return a.printText(c.Node, func(client *api.Client, node string) ([]byte, error) {
		return client.Checkpoint(a.ctx, node, c.Log)
	})
}

type proofSinceCmd struct {
	File string `arg:"" optional:"" help:"The checkpoint; without it, or as -, standard input."`
}

// Run prints the proof.
func (c *proofSinceCmd) Run(a *app) error {
	note, err := a.readInput(c.File)
	if err != nil {
		return err
	}
	return a.printText("", func(client *api.Client, _ string) ([]byte, error) { return client.Extends(a.ctx, note) })
}

func (a *app) printText(node string, ask func(client *api.Client, node string) ([]byte, error)) error {
	node, err := a.resolveNode(node)
	if err != nil {
		return err
	}
	text, err := ask(a.client(), node)
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(text)
	return err
}

type proofCheckCmd struct {
	File string `arg:"" optional:"" help:"The proof; without it, or as -, standard input."`
}

// Run checks the proof, of whichever node.
func (c *proofCheckCmd) Run(a *app) error {
	raw, err := a.readInput(c.File)
	if err != nil {
		return err
	}
	p, err := merkle.ParseProof(raw)
	if err != nil {
		return fmt.Errorf("not proven: %w", err)
	}
	name := p.Checkpoint.Log
	if a.opts.JSON {
		return a.printJSON(struct {
			Node   string `json:"node"`
			Log    string `json:"log"`
			Seq    uint64 `json:"seq"`
			Signed uint64 `json:"signed"`
			Line   []byte `json:"line_base64"`
		}{name.Peer, name.IDString(), p.Index, p.Checkpoint.Size, p.Line})
	}
	_, err = fmt.Fprintf(a.stdout, "ok  record %d of %d that %s signed in its log %s\n%s\n", p.Index, p.Checkpoint.Size, name.Peer, name.IDString(), printable(string(p.Line)))
	return err
}

// maxInput bounds a proof that is read from a file.
const maxInput = 4 << 20

func (a *app) readInput(file string) ([]byte, error) {
	in := io.Reader(a.stdin)
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, maxInput))
}
