package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"auditmesh/audit"
	"auditmesh/audit/disk"
	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
	"auditmesh/mirror"
)

const (
	viewNodes  = 20
	viewAgents = 200
	// A task's started and exit come this many tasks of all nodes after its request.
	viewDelay = 20_000
	firstTime = 1_795_000_000_000
)

func viewKey(node int) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(node + 1)}, ed25519.SeedSize))
}

func requestID(task int) (id event.RequestID) {
	binary.LittleEndian.PutUint64(id[:], uint64(task)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(task))
	return id
}

func agentID(task int) event.PartyID { return event.PartyID{byte(task * 7 % viewAgents), 0xa9} }

// makeCopies writes the logs of twenty nodes, signed, as copies of them stand.
func makeCopies(dir string, records int) error {
	for node := range viewNodes {
		key := viewKey(node)
		name := merkle.PeerID(key.Public().(ed25519.PublicKey))
		o := audit.Options{Path: dir + "/making/audit.jsonl", SignedPath: dir + "/making-state/signed.json", Key: key}
		if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
			return err
		}
		if err := writeNode(o.Path, node, records/3); err != nil {
			return err
		}
		if err := audit.InitSignedState(disk.OS{}, o.SignedPath, name); err != nil {
			return err
		}
		l, err := audit.OpenOrCreate(o)
		if err != nil {
			return err
		}
		log, _ := l.Name()
		if err := l.Close(); err != nil {
			return err
		}
		for _, path := range []string{o.Path, o.Path + ".lock"} {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		to := audit.CopyDir(dir+"/copies", log)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.Rename(filepath.Dir(o.Path), to); err != nil {
			return err
		}
	}
	return nil
}

// writeNode writes a node's share of the tasks: every twentieth. One in a hundred
// is denied, one in fifty fails, the last ones still run.
func writeNode(path string, node, tasks int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	put := func(e event.Event) {
		if err == nil {
			if line, err = event.AppendLine(line[:0], e); err == nil {
				_, err = w.Write(line)
			}
		}
	}
	machine := event.PartyID(viewKey(node).Public().(ed25519.PublicKey))
	for task := node; task < tasks; task += viewNodes {
		ts, argv := uint64(firstTime+task), []string{"git", "status", "--short", "--branch", "dir" + strconv.Itoa(task%1000)}
		if task%100 == 99 {
			put(&event.Denial{TSUnixMS: ts, RequestID: requestID(task), AgentID: agentID(task), MachineID: machine, Argv: argv, Reason: "argv_not_allowed"})
		} else {
			put(&event.Request{TSUnixMS: ts, RequestID: requestID(task), AgentID: agentID(task), MachineID: machine, Argv: argv, TimeoutMS: 30000})
		}
		if old := task - viewDelay; old >= 0 && old%100 != 99 {
			code := int32(0)
			if old%50 == 7 {
				code = 1
			}
			put(&event.Started{TSUnixMS: ts, RequestID: requestID(old), PID: uint32(old)})
			put(&event.Exit{TSUnixMS: ts, RequestID: requestID(old), Code: &code, DurationMS: 12, StdoutBytes: 345})
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// queryView asks for the first page of each filter.
func queryView(dir string, times string) error {
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	_, m, err := openView(dir)
	if err != nil {
		return err
	}
	peer := func(i int) string { return merkle.PeerID(viewKey(i % viewNodes).Public().(ed25519.PublicKey)) }
	filters := []struct {
		name string
		make func(i int) mirror.Filter
	}{
		{"none", func(int) mirror.Filter { return mirror.Filter{} }},
		{"time", func(i int) mirror.Filter { return mirror.Filter{Until: firstTime + uint64(i+1)*3000} }},
		{"node", func(i int) mirror.Filter { return mirror.Filter{Nodes: []string{peer(i)}} }},
		{"agent", func(i int) mirror.Filter { return mirror.Filter{Agents: []string{agentID(i).String()}} }},
		{"machine", func(i int) mirror.Filter {
			return mirror.Filter{Machines: []string{fmt.Sprintf("%x", viewKey(i%viewNodes).Public().(ed25519.PublicKey))}}
		}},
		{"request", func(i int) mirror.Filter { return mirror.Filter{Requests: []string{requestID(i * 101).String()}} }},
		{"event", func(int) mirror.Filter { return mirror.Filter{Events: []string{"denial"}} }},
		{"reason", func(int) mirror.Filter { return mirror.Filter{Reasons: []string{"argv_not_allowed"}} }},
		{"running", func(int) mirror.Filter { return mirror.Filter{States: []string{mirror.StateRunning}} }},
		{"failed", func(int) mirror.Filter { return mirror.Filter{States: []string{mirror.StateFailed}} }},
		{"denied", func(int) mirror.Filter { return mirror.Filter{States: []string{mirror.StateDenied}} }},
		{"unreviewed", func(int) mirror.Filter { return mirror.Filter{Unreviewed: true} }},
		{"removed", func(int) mirror.Filter { return mirror.Filter{OnlyRemoved: true} }},
	}
	var s querySample
	for _, f := range filters {
		sample := filterSample{Name: f.name}
		for i := range n {
			took, pages, err := s.ask(m, f.make(i))
			if err != nil {
				return err
			}
			sample.Took, sample.Pages = append(sample.Took, took), max(sample.Pages, pages)
		}
		s.Filters = append(s.Filters, sample)
	}
	for range n {
		start := time.Now()
		if _, err := m.Status(); err != nil {
			return err
		}
		s.Status = append(s.Status, since(start))
	}
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	if _, err := fmt.Sscanf(rest, "%f kB", &s.RSS); err != nil {
		return err
	}
	s.RSS /= 1024
	if err := m.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// askLimit ends a search that would go through everything.
const askLimit = time.Second

// ask is how long it takes until the first hundred tasks are found, or none are
// left to be looked at.
func (s *querySample) ask(m *mirror.Mirror, f mirror.Filter) (took float64, pages int, err error) {
	q := mirror.TaskQuery{Filter: f, Limit: 100}
	start := time.Now()
	for time.Since(start) < askLimit {
		one := time.Now()
		page, err := m.Tasks(q)
		if err != nil {
			return 0, pages, err
		}
		pages++
		if !page.Partial {
			break
		}
		s.Budget = append(s.Budget, since(one))
		q.After, q.Limit = page.Next, q.Limit-len(page.Tasks)
	}
	return since(start), pages, nil
}
