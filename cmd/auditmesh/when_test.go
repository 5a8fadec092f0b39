package main

import (
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
