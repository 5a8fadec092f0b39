package event

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What holds of every event is tested over the list of them, so that it holds of
// the next one.

func eachKind(t *testing.T, test func(t *testing.T, k named)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, k) })
	}
}

// Whatever values an event has, its line is read the quick way and the careful one
// to the same event, which writes the same line.
func TestEveryEventRoundTrips(t *testing.T) {
	eachKind(t, func(t *testing.T, k named) {
		rapid.Check(t, func(t *rapid.T) {
			line := drawSample(t, k).line()
			quick := canonical(line)
			if quick == nil {
				t.Fatalf("goes the slow way: %s", line)
			}
			slow, err := careful(line, nil)
			if err != nil || !reflect.DeepEqual(quick, slow) {
				t.Fatalf("%s\n got %+v, %v\nwant %+v", line, slow, err, quick)
			}
			if again, err := Encode(quick); err != nil || string(again) != string(line)+"\n" {
				t.Fatalf("%v\n got %s\nwant %s", err, again, line)
			}
		})
	})
}

// No field of a struct is left out of its line.
func TestEveryFieldIsInTheLine(t *testing.T) {
	eachKind(t, func(t *testing.T, k named) {
		e, err := Decode(fullSample(k).line())
		if err != nil {
			t.Fatal(err)
		}
		zero := zeroFields(reflect.ValueOf(e).Elem())
		switch k.name {
		case "task_claimed":
			zero = slices.DeleteFunc(zero, func(f string) bool { return f == "Completed" })
		case "task_removed": // has one or the other
			zero = slices.DeleteFunc(zero, func(f string) bool { return f == "RequestID" })
		}
		if len(zero) > 0 {
			t.Errorf("%s leaves %v of %T as they are", fullSample(k).line(), zero, e)
		}
	})
}

// zeroFields are the fields of a struct, and of the structs in its lists, that are zero.
func zeroFields(v reflect.Value) (zero []string) {
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() {
			zero = append(zero, v.Type().Field(i).Name)
		}
		if f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct {
			zero = append(zero, zeroFields(f.Index(0))...)
		}
	}
	return zero
}

// A type that has the methods of an event and is in no list would be written, and
// then read as unknown.
func TestEveryEventIsListed(t *testing.T) {
	listed := map[string]bool{"Application": true, "Unknown": true}
	for _, k := range kinds {
		listed[reflect.TypeOf(k.make(0)).Elem().Name()] = true
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			method, ok := d.(*ast.FuncDecl)
			if !ok || method.Recv == nil || method.Name.Name != "Name" {
				continue
			}
			name := method.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
			if !listed[name] {
				t.Errorf("%s: the event %s is not in the list of the file's kinds", f.Name(), name)
			}
		}
	}
}

func TestEveryEventHasItsOwnName(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range kinds {
		if seen[k.name] || strings.HasPrefix(k.name, "x-") || k.name != k.make(3).Name() || k.make(3).Time() != 3 {
			t.Errorf("%q is a name that another event has, or applications, or its time is not kept", k.name)
		}
		seen[k.name] = true
	}
}

// The golden files hold the bytes of every event.
func TestEveryEventIsGolden(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range allGolden(t) {
		e, err := Decode(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		seen[e.Name()] = true
		if again, err := Encode(e); err != nil || !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), line) {
			t.Errorf("%v\n got %s\nwant %s", err, again, line)
		}
	}
	for _, k := range kinds {
		if !seen[k.name] {
			t.Errorf("no line of testdata/golden is a %s: add one, such as\n%s", k.name, fullSample(k).line())
		}
	}
}

// allGolden are the lines of all golden files, without newlines.
func allGolden(t testing.TB) (lines [][]byte) {
	for _, name := range []string{"lines", "mesh", "incidents"} {
		raw, err := os.ReadFile("testdata/golden/" + name + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.Split(bytes.TrimSpace(raw), []byte("\n"))...)
	}
	return lines
}

// Whoever else wrote these would speak for the node.
func TestOnlyTheNodeWrites(t *testing.T) {
	var byNode []string
	for _, k := range kinds {
		line := fullSample(k).line()
		_, err := ParseInput(line, 1)
		var fe *FieldError
		if refused := errors.As(err, &fe) && fe.Field == "event"; refused != k.byNode || refused != ByNode(k.name) {
			t.Errorf("%s: ByNode is %v, but as input: %v", k.name, ByNode(k.name), err)
		}
		if k.byNode {
			byNode = append(byNode, k.name)
		}
	}
	want := []string{
		"task_removed", "task_claimed", "task_completed", "task_released", "task_noted",
		"log_succeeded", "log_write_failed", "disk_space_low", "follow_bytes", "follow_gap",
	}
	if !slices.Equal(byNode, want) {
		t.Errorf("the node alone writes %v, want %v", byNode, want)
	}
	for _, name := range []string{"", "x-deploy", "reboot"} {
		if ByNode(name) {
			t.Errorf("%q is said to be the node's", name)
		}
	}
}
