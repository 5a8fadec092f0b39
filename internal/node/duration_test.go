package node

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "24h": day, "1d": day, "90d": 90 * day, "2w": 14 * day, "1d12h": 36 * time.Hour,
		"1w1d1h1m1s1ms": week + day + time.Hour + time.Minute + time.Second + time.Millisecond, "0s": 0, "0d": 0, "500ms": time.Second / 2,
		"1h30m": 90 * time.Minute,
	} {
		d, err := ParseDuration(text)
		if err != nil || d.Std() != want {
			t.Errorf("%q: %s, %v", text, d, err)
		}
	}
	for text, want := range map[string]string{
		"30": "has no unit", "0": "has no unit", "1h30": "has no unit", "-1h": "not negative", "": "not a duration", "h": "not a duration",
		"1.5h": `"." is not a unit`, "1 h": `" h" is not a unit`, "3y": `"y" is not a unit`, "1M": `"M" is not a unit`, "30ns": `"ns" is not a unit`,
		"99999999999999999999h": "too long", "16000w": "too long", "15000w15000w": "too long", "1µs": "is not a unit", " 1h": "not a duration",
	} {
		if d, err := ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v, want %q", text, d, err, want)
		}
	}
}

// What is printed is read again as what it was, down to milliseconds.
func TestDurationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Lasting(time.Duration(rapid.Int64Range(0, math.MaxInt64/int64(time.Millisecond)).Draw(t, "ms")) * time.Millisecond)
		raw, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Duration
		if err := back.UnmarshalText(raw); err != nil || back != d {
			t.Fatalf("%s is read as %s: %v", raw, back, err)
		}
	})
}

func TestDurationWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "no time", day: "1 day", 36 * time.Hour: "1 day 12 hours", 90 * day: "90 days", 61 * time.Second: "1 minute 1 second",
	} {
		if got := Lasting(d).Words(); got != want {
			t.Errorf("%s: %q", d, got)
		}
	}
}
