package mirror

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"

	"auditmesh/audit/merkle"
	"auditmesh/crdt"
)

// hashOf is the view hash and the number of tasks: SHA-256 over a line that names
// the fold's version, and the JSON of each task in the order of node and request
// id, a line each (docs/formats.md).
func hashOf(ctx context.Context, list *crdt.TaskList) (merkle.Hash, uint64, error) {
	h := sha256.New()
	fmt.Fprintf(h, "auditmesh view v%s\n", crdt.FoldVersion)
	tasks := uint64(0)
	err := list.Each(func(task *crdt.Task) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		tasks++
		it, _, err := list.Show(task)
		if err != nil {
			return err
		}
		return writeItem(h, it)
	})
	if err != nil {
		return merkle.Hash{}, 0, err
	}
	return merkle.Hash(h.Sum(nil)), tasks, nil
}

func writeItem(w io.Writer, it crdt.Item) error {
	raw, err := json.Marshal(it, json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = w.Write(append(raw, '\n'))
	return err
}
