package main

import (
	"fmt"
	"os"
	"os/user"

	"auditmesh/internal/api"
)

// reviewCmd is the review of tasks, one's own or others': each act is a record in
// this node's log, and never touches what the task's own node said.
type reviewCmd struct {
	By   string `help:"Who reviews. Default: the user who runs this." placeholder:"NAME"`
	Node string `help:"The task's node, where several have the request: its peer id, or the end of it." placeholder:"PEER"`

	Claim   reviewAct  `cmd:"" help:"Claim the review of a task."`
	Done    reviewAct  `cmd:"" help:"Complete the review."`
	Release reviewAct  `cmd:"" help:"Take back the claims and completions that are there."`
	Note    reviewNote `cmd:"" help:"Write a note, a priority or an assignee."`
}

type reviewAct struct {
	ID string `arg:"" help:"Request id of the task, or the beginning of it."`
}

type reviewNote struct {
	ID    string `arg:"" help:"Request id of the task, or the beginning of it."`
	Value string `arg:"" help:"The text; an empty one clears it."`
	Field string `enum:"note,priority,assignee" default:"note" help:"What to write: note, priority or assignee."`
}

// review sends an act to the node.
func (a *app) review(act api.Review) error {
	var err error
	if act.By = a.opts.Review.By; act.By == "" {
		if act.By, err = userName(); err != nil {
			return err
		}
	}
	if act.Node, err = a.resolveNode(a.opts.Review.Node); err != nil {
		return err
	}
	r, err := a.client().Review(a.ctx, act)
	if err != nil {
		return err
	}
	return a.printAppended(1, r)
}

// userName is the operator's name where none is given.
func userName() (string, error) {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("who reviews is not known: give --by: %w", err)
	}
	return u.Username, nil
}

// Run records the act that was chosen.
func (c *reviewAct) Run(a *app, action string) error {
	return a.review(api.Review{Action: action, Request: c.ID})
}

// Run records a note.
func (c *reviewNote) Run(a *app) error {
	return a.review(api.Review{Action: "note", Request: c.ID, Field: c.Field, Value: c.Value})
}
