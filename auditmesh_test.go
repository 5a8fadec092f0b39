package auditmesh_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"auditmesh"
	"auditmesh/audit"
	"auditmesh/audit/event"
)

func open(t *testing.T, dir string) *auditmesh.Node {
	t.Helper()
	n, err := auditmesh.Open(t.Context(), auditmesh.Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Each error that Append names can be told from the others.
func TestAppendErrors(t *testing.T) {
	n := open(t, t.TempDir())
	var field *event.FieldError
	if _, err := n.Append(t.Context(), []byte(`{"event":"started","request_id":"00112233445566778899aabbccddeeff","pid":-1}`)); !errors.As(err, &field) || field.Field != "pid" || strings.Contains(field.Reason, "field") {
		t.Errorf("a wrong field: %v", err)
	}
	if _, err := n.Append(t.Context(), []byte(`{"event":`)); err == nil {
		t.Error("half an object was appended")
	}
	at, err := n.Append(t.Context(), []byte(`{"event":"x-a"}`))
	if err != nil || at.Seq != 0 {
		t.Errorf("the first record is at %d: %v", at.Seq, err)
	}
	if st, err := n.Status(t.Context()); err != nil || st.Peer != at.Log.Peer || st.Records != 1 || st.Trouble != "" {
		t.Errorf("status: %+v, %v", st, err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Append(t.Context(), []byte(`{"event":"x-late"}`)); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A second node in one directory is refused; the first goes on.
func TestSecondNodeIsRefused(t *testing.T) {
	dir := t.TempDir()
	n := open(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // one that opens may wait for the log
	defer cancel()
	if _, err := auditmesh.Open(ctx, auditmesh.Options{DataDir: dir}); !errors.Is(err, audit.ErrLocked) {
		t.Errorf("a second node: %v", err)
	}
	if _, err := n.Append(t.Context(), []byte(`{"event":"x-a"}`)); err != nil {
		t.Errorf("the first one: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// The configuration is the directory's, and a wrong one is refused with its line.
func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	if _, err := auditmesh.Open(t.Context(), auditmesh.Options{}); err == nil {
		t.Error("no directory was opened")
	}
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte("no_such_key = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auditmesh.Open(t.Context(), auditmesh.Options{DataDir: dir}); err == nil || !strings.Contains(err.Error(), `unknown key "no_such_key"`) {
		t.Errorf("a wrong configuration: %v", err)
	}
	if err := os.WriteFile(path, []byte("audit_log_path = \"elsewhere/mine.jsonl\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	n, err := auditmesh.Open(t.Context(), auditmesh.Options{DataDir: dir, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Append(t.Context(), []byte(`{"event":"x-a"}`)); err != nil {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := errors.Join(n.Run(ctx), n.Close()); err != nil {
		t.Error(err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "elsewhere", "mine.jsonl")); err != nil || !bytes.Contains(raw, []byte("x-a")) {
		t.Errorf("the log that was configured holds %q: %v", raw, err)
	}
	if !strings.Contains(said.String(), "node runs") {
		t.Errorf("its messages: %q", said.String())
	}
}
