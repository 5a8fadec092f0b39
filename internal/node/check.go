package node

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"auditmesh/audit/event"
	"auditmesh/audit/merkle"
)

// What a setting may be. The limits refuse what nobody can mean: a log that is
// deleted while it is written, or a number in another unit than it is read in.
const (
	maxLine          = merkle.MaxLine
	minSegment       = 64 << 10
	maxSegment       = 1 << 40
	maxFree          = 1 << 50
	minArgv          = 64
	minSegmentAge    = time.Minute
	minRetainAge     = time.Hour
	minSegments      = 2
	maxSegments      = 1_000_000
	noRecordsLeft    = "right after a segment is sealed, nothing but the new, empty one would be kept"
	maxTasklistID    = 128
	secondsNotTyped  = `; the age is a duration with its unit, such as "90d"`
	bytesNotMegabyte = "; the number is in bytes: a gigabyte is 1_000_000_000"
)

// Check says what is wrong with a configuration by itself, all at once. Probe says
// what is wrong with it on this machine.
func (c Config) Check() error {
	var wrong problems
	for _, err := range []error{c.checkLog(), c.checkSizes(), c.checkFollow(), c.checkAgent(), c.checkLevel()} {
		wrong.add(err)
	}
	wrong.list = append(wrong.list, c.Retain.check("retain", c).list...)
	wrong.list = append(wrong.list, c.RetainCopies.check("retain_copies", c).list...)
	wrong.list = append(wrong.list, c.checkMesh().list...)
	return wrong.err()
}

func (c Config) checkAgent() error {
	if c.AgentID == "" {
		return nil
	}
	if _, err := event.ParsePartyID(c.AgentID); err != nil {
		return fmt.Errorf("agent_id: %w", err)
	}
	return nil
}

func (c Config) checkLevel() error {
	if slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		return nil
	}
	return fmt.Errorf("log_level: %q is not debug, info, warn or error", c.LogLevel)
}

func (c Config) checkSizes() error {
	var wrong problems
	if c.SegmentBytes < minSegment {
		wrong.add(fmt.Errorf("segment_bytes: %d is less than %d: a segment is to hold some records%s", c.SegmentBytes, minSegment, bytesNotMegabyte))
	}
	if c.SegmentBytes > maxSegment {
		wrong.add(fmt.Errorf("segment_bytes: %d is more than %s: the log would never be sealed", c.SegmentBytes, bytesWords(maxSegment)))
	}
	if age := c.SegmentAge.Std(); age != 0 && age < minSegmentAge {
		wrong.add(fmt.Errorf("segment_age: %s is less than %s: each segment is three files", c.SegmentAge, Lasting(minSegmentAge)))
	}
	if c.MinFreeBytes < 0 || c.MinFreeBytes > maxFree {
		wrong.add(fmt.Errorf("min_free_bytes: %d is not between 0 (nobody looks) and %s", c.MinFreeBytes, bytesWords(maxFree)))
	}
	if n := c.MaxArgvBytes; n != 0 && (n < minArgv || n > maxLine) {
		wrong.add(fmt.Errorf("max_argv_bytes: %d is not between %d and %d, which is a line's own bound; 0 is that one", n, minArgv, maxLine))
	}
	return wrong.err()
}

// check says what is wrong with a table of the configuration of that name.
func (r Retention) check(name string, c Config) (wrong problems) {
	if n := r.Segments; n != 0 && (n < minSegments || n > maxSegments) {
		why := noRecordsLeft
		if n != 1 {
			why = fmt.Sprintf("a number between %d and %d is meant", minSegments, maxSegments)
		}
		wrong.add(fmt.Errorf("%s.segments: %d: %s; 0 keeps all", name, n, why))
	}
	if n, least := r.Bytes, minSegments*c.SegmentBytes; n != 0 && n < least {
		wrong.add(fmt.Errorf("%s.bytes: %d is less than two segments (%d bytes): %s; 0 keeps all%s", name, n, least, noRecordsLeft, bytesNotMegabyte))
	}
	if age := r.Age.Std(); age != 0 && age < minRetainAge {
		wrong.add(fmt.Errorf(`%s.age: %s is less than %s: nobody could read the log before it is gone; "0s" keeps all%s`, name, r.Age, Lasting(minRetainAge), secondsNotTyped))
	}
	return wrong
}

func (c Config) checkLog() error {
	if c.LogPath() == "" {
		return nil
	}
	if err := c.checkPath(*c.AuditLogPath); err != nil {
		return fmt.Errorf("audit_log_path: %w", err)
	}
	if filepath.Dir(c.LogPath()) == filepath.Clean(c.stateDir()) {
		return errors.New("audit_log_path: the log must not stand in the directory of the last-signed state, which tells when the log was put back from a backup")
	}
	return nil
}

func (c Config) checkFollow() error {
	follow := c.FollowPath()
	if follow == "" {
		return nil
	}
	if err := c.checkPath(c.AuditFollowPath); err != nil {
		return fmt.Errorf("audit_follow_path: %w", err)
	}
	if c.LogPath() == "" {
		return errors.New("audit_follow_path: auditing is disabled, there is no log to copy into; give audit_log_path")
	}
	if filepath.Dir(follow) == filepath.Dir(c.LogPath()) && strings.HasPrefix(filepath.Base(follow), strings.TrimSuffix(filepath.Base(c.LogPath()), ".jsonl")) {
		return fmt.Errorf("audit_follow_path: %s is of this node's own log; name the file that the other program writes", follow)
	}
	return nil
}

// checkPath refuses a path that no file of another's can have: the view is deleted
// when it is made anew, and copies come and go.
func (c Config) checkPath(path string) error {
	if strings.ContainsFunc(path, unicode.IsControl) {
		return fmt.Errorf("%q has a control character", path)
	}
	if strings.HasSuffix(path, "/") {
		return fmt.Errorf("%q names a directory: name a file in it", path)
	}
	if !filepath.IsAbs(path) && !filepath.IsLocal(path) {
		return fmt.Errorf("%q leads out of the data directory: write the whole path, from / on, if that is meant", path)
	}
	full := c.inDataDir(path)
	for _, dir := range []string{c.viewDir(), c.copiesDir(), c.evidenceDir(), c.stateDir()} {
		if dir == c.stateDir() && filepath.Dir(full) == dir {
			continue // the log has its own words for it
		}
		if rel, err := filepath.Rel(dir, full); err == nil && filepath.IsLocal(rel) {
			return fmt.Errorf("%s is the node's own directory, whose files come and go: name another place", dir)
		}
	}
	for _, file := range []string{c.identityPath(), c.newKeyPath(), c.identityLockPath(), c.SocketPath(), filepath.Join(c.DataDir, configName), c.DataDir} {
		if full == file {
			return fmt.Errorf("%s is another file of the node", file)
		}
	}
	return nil
}
