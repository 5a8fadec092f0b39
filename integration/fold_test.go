package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sameAsSimpleFold checks that each node's view is what simplefold.py, which
// shares no code with auditmesh, makes of the union of all nodes' own files.
func sameAsSimpleFold(t testing.TB, nodes ...*proc) {
	t.Helper()
	args := []string{"simplefold.py"}
	for _, n := range nodes {
		args = append(args, n.id+"="+filepath.Join(n.dir, "log"))
	}
	out, err := exec.Command("python3", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := strings.TrimSpace(string(out))
	for _, n := range nodes {
		if got := n.deep().ViewHash; got != want {
			t.Errorf("the view of %s is %s, the simple fold gives %s", n.name, got, want)
		}
	}
}

// Files with all kinds of records, right and wrong, that collide in every way
// that a few tasks, times and dots allow: what two programs make of them that
// have nothing in common but docs/formats.md. The seed is in the failure.
func TestSimpleFoldAgrees(t *testing.T) {
	for round := range 6 {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		nodes := newMesh(t, "a", "b", "c")
		for _, n := range nodes {
			var file strings.Builder
			for range 300 {
				file.WriteString(randomLine(rng, nodes) + "\n")
			}
			if err := os.MkdirAll(filepath.Join(n.dir, "log"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(n.dir, "log", "audit.jsonl"), []byte(file.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range nodes {
			n.start()
		}
		eventually(t, waitLimit, "three nodes converge", func() bool { return converged(nodes...) })
		sameAsSimpleFold(t, nodes...)
		if t.Failed() {
			t.Fatalf("round %d, seed %d", round, seed)
		}
		for _, n := range nodes {
			n.kill(9)
		}
	}
}

func randomLine(r *rand.Rand, nodes []*proc) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	id := fmt.Sprintf(`"request_id":"%032x"`, r.IntN(2))
	ts := fmt.Sprintf(`"ts_unix_ms":%d`, r.IntN(3))
	party := fmt.Sprintf(`"agent_id":"%064x","machine_id":"%064x"`, r.IntN(3), r.IntN(3))
	node := fmt.Sprintf(`"node":%q`, nodes[r.IntN(len(nodes))].id)
	logs := fmt.Sprintf("%064x", r.IntN(2))
	var dots []string
	for range r.IntN(3) {
		dots = append(dots, fmt.Sprintf(`{"node":%q,"log":%q,"seq":%d}`, nodes[r.IntN(len(nodes))].id, logs, r.IntN(300)))
	}
	replaces := `"replaces":[` + strings.Join(dots, ",") + `]`
	text := pick(`"plain"`, `"\u00e9\u2028 <b> \ud83d\ude00"`, `"a\n\"\\\u0000"`, `""`, fmt.Sprintf(`"t%d"`, r.IntN(1000)))
	body := pick(
		`{"event":"request",`+ts+`,`+id+`,`+party+`,"argv":[`+text+`,"x"],"matched_acl":`+pick("null", text)+`,"stdin_bytes":18446744073709551615,"timeout_ms":7}`,
		`{"event":"request",`+ts+`,`+id+`,`+party+`,"argv":[],"stdin_bytes":1,"timeout_ms":0,"new":{"a":[1]}}`,
		`{"event":"started",`+ts+`,`+id+`,"pid":4294967295}`,
		`{"event":"warning",`+ts+`,`+id+`,"kind":`+text+`,"bytes":`+pick("null", "9007199254740993")+`}`,
		`{"event":"exit",`+ts+`,`+id+`,"code":`+pick("null", "-1", "0")+`,"signal":null,"duration_ms":3,"stdout_bytes":1,"stderr_bytes":2,"truncated":true}`,
		`{"event":"denial",`+ts+`,`+id+`,`+party+`,"argv":["no"],"reason":"spawn_failed"}`,
		`{"event":"x-app",`+ts+`,`+id+`}`,
		`{"event":"x-app",`+ts+`}`,
		`{"event":"task_removed",`+ts+`,`+id+`,"ranges":[],"reason":`+text+`}`,
		`{"event":"task_claimed",`+ts+`,`+node+`,`+id+`,"by":`+text+`}`,
		`{"event":"task_completed",`+ts+`,`+node+`,`+id+`,"by":"b"}`,
		`{"event":"task_released",`+ts+`,`+node+`,`+id+`,"by":"b",`+replaces+`}`,
		`{"event":"task_noted",`+ts+`,`+node+`,`+id+`,"by":"b","field":`+pick(`"note"`, `"priority"`, `"color"`)+`,"value":`+text+`,`+replaces+`}`,
		`{"event":"log_succeeded",`+ts+`,"log":"`+logs+`","size":1,"root":"`+logs+`","reason":""}`,
		// What does not operate.
		`{"event":"started",`+ts+`,`+id+`,"pid":4294967296}`,
		`{"event":"started",`+ts+`,`+id+`,"pid":null}`,
		`{"event":"started",`+ts+`,`+id+`,"PID":1}`,
		`{"event":"started",`+ts+`,`+id+`,"pid":1,"pid":2}`,
		`{"event":"started",`+ts+`,`+id+`,"pid":1,"x":{"a":1,"a":2}}`,
		`{"event":"started",`+ts+`,"request_id":"00112233445566778899AABBCCDDEEFF","pid":1}`,
		`{"event":"started","ts_unix_ms":1.5,`+id+`,"pid":1}`,
		`{"event":"split",`+ts+`,`+id+`}`,
		"garbage \xff\x00", `[]`, `null`, ``,
	)
	return body
}
