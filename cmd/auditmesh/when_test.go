package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"now":                  now,
		"today":                time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
		"yesterday":            time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
		"2026-11-20":           time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		"2026-11-20 08:15":     time.Date(2026, 11, 20, 8, 15, 0, 0, time.UTC),
		"2026-11-20 08:15:09":  time.Date(2026, 11, 20, 8, 15, 9, 0, time.UTC),
		"2026-11-20T08:15:09Z": time.Date(2026, 11, 20, 8, 15, 9, 0, time.UTC),
		"08:15":                time.Date(2026, 11, 24, 8, 15, 0, 0, time.UTC),
		"-2h":                  now.Add(-2 * time.Hour),
		"+1h30m":               now.Add(90 * time.Minute),
		"2h ago":               now.Add(-2 * time.Hour),
		"3 days ago":           now.AddDate(0, 0, -3),
		"1 week ago":           now.AddDate(0, 0, -7),
		"10 min ago":           now.Add(-10 * time.Minute),
		"5 seconds ago":        now.Add(-5 * time.Second),
		"@1795000000":          time.Unix(1795000000, 0),
	} {
		if got, err := parseWhen(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "soon", "-", "ago", "3 moons ago", "2026-13-01", "25:00", "@x"} {
		if got, err := parseWhen(in, now); err == nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

func TestJoinTimes(t *testing.T) {
	for in, want := range map[string]string{
		"log -S -2h -U -1h":         "log --since=-2h --until=-1h",
		"tasks --since -30min -n 5": "tasks --since=-30min -n 5",
		"remove --before -30d":      "remove --before=-30d",
		"log -S yesterday -f":       "log -S yesterday -f",
		"log -S":                    "log -S",
		"log -S --until -1h":        "log -S --until=-1h",
		"exec -- grep -S -2h":       "exec -- grep -S -2h",
		"log -n -1":                 "log -n -1",
	} {
		if got := strings.Join(joinTimes(strings.Fields(in)), " "); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
