package audit

import (
	"errors"
	"os"
	"testing"
)

// Fault 16: one last-signed state is of one log. While that is open, no other can
// be made, opened or succeeded with the same state, whatever path it stands at.
func TestStateKeepsToOneLog(t *testing.T) {
	o := testOptions(t, 1)
	l := openLog(t, o)
	appendN(t, l, 0, 3)
	if err := l.Sign(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(o.SignedPath)
	if err != nil {
		t.Fatal(err)
	}
	other := o
	other.Path = t.TempDir() + "/elsewhere/audit.jsonl"
	_, opened := OpenOrCreate(other)
	for what, err := range map[string]error{"open or create": opened, "create": Create(other), "succeed": Succeed(other, ErrBehind)} {
		if !errors.Is(err, ErrLocked) && what != "create" { // which refuses for what was signed
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			t.Errorf("%s was done", what)
		}
	}
	if after, err := os.ReadFile(o.SignedPath); err != nil || string(after) != string(before) {
		t.Errorf("the state was changed: %v\n%s\n%s", err, before, after)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(o); err != nil {
		t.Fatalf("after it was closed: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
