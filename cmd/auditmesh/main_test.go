//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"auditmesh": main})
}

// The command line, as scripts: testdata/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("AUDITMESH_DATA_DIR", filepath.Join(e.WorkDir, "node"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// await waits until the node answers.
			"await": func(ts *testscript.TestScript, _ bool, _ []string) {
				socket := filepath.Join(ts.Getenv("AUDITMESH_DATA_DIR"), "api.sock")
				for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
					if _, err := os.Stat(socket); err == nil {
						return
					}
				}
				ts.Fatalf("no node answers at %s", socket)
			},
			// until-shown waits until a task is in the view, and shows a text.
			"until-shown": func(ts *testscript.TestScript, _ bool, args []string) {
				want := regexp.MustCompile(strings.Join(args[1:], " "))
				for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
					if ts.Exec("auditmesh", "show", args[0]) == nil && want.MatchString(ts.ReadFile("stdout")) {
						return
					}
				}
				ts.Fatalf("task %s does not show %q: %s", args[0], want, ts.ReadFile("stdout"))
			},
		},
	})
}

// build makes the program once for the tests that need a terminal.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "auditmesh")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// On a terminal the command has one too, of the same size; what is typed and the
// signals of the keyboard reach it, and its end is passed on.
func TestExecOnATerminal(t *testing.T) {
	program, dir := build(t), filepath.Join(t.TempDir(), "node")
	for _, c := range []struct {
		name, script, typed, want string
		code                      int
	}{
		{"terminal", `test -t 0 && test -t 1 && test -t 2 && stty size && echo on a tty`, "", "33 77\r\non a tty\r\n", 0},
		{"input", `read x; echo "got $x"; exit 5`, "hello\n", "hello\r\ngot hello\r\n", 5},
		{"control-C", `trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done`, "\x03", "caught\r\n", 9},
		{"a shell in it", `exec sh -c 'kill -TERM $$'`, "", "", 143},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A shell stands between, as it would: it shows how the command ended.
			cmd := exec.Command("sh", "-c", `"$@"; echo "code $?"`, "sh", program, "--data-dir", dir, "exec", "--", "sh", "-c", c.script)
			tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 77})
			if err != nil {
				t.Fatal(err)
			}
			defer tty.Close()
			var out strings.Builder
			typed := false
			buf := make([]byte, 4096)
			for {
				if !typed && (c.typed != "\x03" || strings.Contains(out.String(), "ready")) {
					typed = true
					tty.WriteString(c.typed)
				}
				n, err := tty.Read(buf)
				out.Write(buf[:n])
				if err != nil { // EIO: nobody has the terminal open any more
					break
				}
			}
			cmd.Wait()
			if !strings.Contains(out.String(), c.want) || !strings.Contains(out.String(), fmt.Sprintf("code %d", c.code)) {
				t.Errorf("it printed %q, want %q and code %d", out.String(), c.want, c.code)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢字 😀":             "plain ü 漢字 😀",
		"\x1b[31mred\x1b[0m":       `\x1b[31mred\x1b[0m`,
		"a\nb\tc\r":                `a\nb\tc\r`,
		"\u202egnp.exe":            `\u{202e}gnp.exe`,
		"\ufeffbom \u200b zero":    `\u{feff}bom \u{200b} zero`,
		"\u2028line":               `\u{2028}line`,
		"broken \xff byte":         `broken \xff byte`,
		"\u009b31m":                `\u{9b}31m`,
		"replacement \ufffd stays": "replacement \ufffd stays",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Fault 42: what is no text is recorded visibly, and can be read back.
func TestRecordable(t *testing.T) {
	seen := map[string]string{}
	for in, want := range map[string]string{
		"plain":      "plain",
		"it's":       "it's",
		"caf\xe9":    `$'caf\xe9'`,
		`caf\xe9`:    `caf\xe9`,
		`$'caf\xe9'`: `$'$\'caf\\xe9\''`,
		"\xff\n'\\":  "$'\\xff\n\\'\\\\'",
	} {
		got := recordable(in)
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q are recorded alike", in, other)
		}
		seen[got] = in
	}
}
