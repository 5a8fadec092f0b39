package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

var clockLayouts = []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "2006-01-02T15:04:05", time.RFC3339Nano}

// parseWhen reads a time as journalctl takes it: "2026-11-24 10:00", "10:00" of
// today, "now", "today", "yesterday", "-2h", "2h ago", "@<seconds since 1970>".
func parseWhen(s string, now time.Time) (time.Time, error) {
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch s {
	case "now":
		return now, nil
	case "today":
		return day, nil
	case "yesterday":
		return day.AddDate(0, 0, -1), nil
	case "tomorrow":
		return day.AddDate(0, 0, 1), nil
	}
	if seconds, ok := strings.CutPrefix(s, "@"); ok {
		if n, err := strconv.ParseInt(seconds, 10, 64); err == nil {
			return time.Unix(n, 0), nil
		}
	}
	span, ago := strings.CutSuffix(s, " ago")
	if ago || strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		d, err := parseSpan(strings.TrimLeft(span, "+-"))
		if err == nil && (ago || s[0] == '-') {
			d = -d
		}
		if err == nil {
			return now.Add(d), nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return day.Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second), nil
		}
	}
	for _, layout := range clockLayouts {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return now, fmt.Errorf("%q is not a time: give one like \"2026-11-24 10:00\", today, yesterday, -2h, \"3 days ago\"", s)
}

// parseSpan reads "90s", "2h30m", "3d", "3 days", "1 week".
func parseSpan(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz ")
	n, err := strconv.Atoi(digits)
	unit := strings.TrimSuffix(strings.TrimSpace(s[len(digits):]), "s")
	for names, length := range map[string]time.Duration{
		"sec second": time.Second, "min minute": time.Minute, "h hour": time.Hour,
		"d day": 24 * time.Hour, "w week": 7 * 24 * time.Hour,
	} {
		for _, name := range strings.Fields(names) {
			if err == nil && unit == name {
				return time.Duration(n) * length, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is not a span of time", s)
}

// joinTimes joins the flags of times with a value that begins with "-", as "-S -2h",
// which would be taken for a flag. It leaves what comes after "--" alone.
func joinTimes(args []string) []string {
	long := map[string]string{"-S": "--since", "--since": "--since", "-U": "--until", "--until": "--until", "--before": "--before"}
	var out []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		flag := long[args[i]]
		if flag == "" || i+1 == len(args) || !isRelative(args[i+1]) {
			out = append(out, args[i])
			continue
		}
		out = append(out, flag+"="+args[i+1])
		i++
	}
	return out
}

// isRelative says whether a value is a time that begins with "-".
func isRelative(s string) bool { return len(s) > 1 && s[0] == '-' && '0' <= s[1] && s[1] <= '9' }
