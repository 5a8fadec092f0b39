package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"auditmesh/internal/api"
)

type appendCmd struct {
	Events []string `arg:"" optional:"" help:"Events, a JSON object each. Without any, they are read from standard input, one a line."`
}

// Help is the longer help of the command.
func (*appendCmd) Help() string {
	return `Each event is answered with its position once it is durable, or with the field that is wrong and why.
The time is stamped where "ts_unix_ms" is absent. Example:

  echo '{"event":"x-deploy","version":"1.2.3"}' | auditmesh append`
}

// Run appends, and fails if any event was refused.
func (c *appendCmd) Run(a *app) error {
	p, err := a.appender()
	if err != nil {
		return err
	}
	n, refused := 0, 0
	report := func(r api.Appended) error {
		n++
		if r.Error != nil {
			refused++
		}
		return a.printAppended(n, r)
	}
	if len(c.Events) > 0 {
		inputs := make([][]byte, len(c.Events))
		for i, e := range c.Events {
			inputs[i] = []byte(e)
		}
		err = p.each(a, inputs, report)
	} else {
		// Streaming through the node; without one, in groups to the log.
		err = p.client.AppendStream(a.ctx, a.stdin, report)
		if errors.Is(err, api.ErrNoNode) {
			err = p.stream(a, a.stdin, report)
		}
	}
	if err != nil {
		return err
	}
	if refused > 0 {
		return &exitError{exitRefused, fmt.Errorf("%d of %d events were not committed", refused, n)}
	}
	return nil
}

func (p *appender) each(a *app, inputs [][]byte, report func(api.Appended) error) error {
	out, err := p.appendInputs(a.ctx, inputs...)
	for _, r := range out {
		err = errors.Join(err, report(r))
	}
	return err
}

// stream appends what is read in groups as a node would make them.
func (p *appender) stream(a *app, in io.Reader, report func(api.Appended) error) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		group, readErr := api.ReadArrived(r)
		if len(group) > 0 {
			if err := p.each(a, group, report); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return readErr
		}
	}
}

func (a *app) printAppended(n int, r api.Appended) error {
	if a.opts.JSON {
		return writeJSON(a.stdout, r, "")
	}
	if refused := r.Error; refused != nil {
		_, err := fmt.Fprintf(a.stderr, "auditmesh: event %d: %s\n", n, printable(refused.Message))
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "%s/%d\n", short(r.Log), r.Seq)
	return err
}
