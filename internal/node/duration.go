package node

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time with its unit: "90s", "24h", "90d", "2w", "1d12h". A number
// without a unit is refused, in whichever form it is written: nobody can tell 30
// seconds from 30 days, and it decides what is deleted. (It is a struct so that
// no decoder takes a bare number for nanoseconds.)
type Duration struct{ d time.Duration }

// Lasting is a Duration.
func Lasting(d time.Duration) Duration { return Duration{d} }

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return d.d }

// IsZero says whether it is none.
func (d Duration) IsZero() bool { return d.d == 0 }

const (
	day  = 24 * time.Hour
	week = 7 * day
)

var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": week,
}

const unitHint = `write a number with its unit: "90s", "30m", "24h", "90d" or "2w"`

// errNoUnit is returned for a bare number.
var errNoUnit = errors.New("it has no unit: " + unitHint)

// ParseDuration reads a duration as the configuration has it.
func ParseDuration(text string) (Duration, error) {
	bad := func(why error) (Duration, error) { return Duration{}, fmt.Errorf("%q: %w", text, why) }
	var total time.Duration
	rest := text
	if strings.HasPrefix(rest, "-") {
		return bad(errors.New("a duration is not negative"))
	}
	for first := true; first || rest != ""; first = false {
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 && rest != "" {
			return bad(errNoUnit)
		}
		if end <= 0 {
			return bad(errors.New("not a duration: " + unitHint))
		}
		n, err := strconv.ParseInt(rest[:end], 10, 64)
		rest = rest[end:]
		next := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' })
		if next < 0 {
			next = len(rest)
		}
		unit, known := units[rest[:next]]
		if !known {
			return bad(fmt.Errorf("%q is not a unit: %s", rest[:next], unitHint))
		}
		rest = rest[next:]
		if err != nil || n > int64((math.MaxInt64-total)/unit) {
			return bad(errors.New("too long: at most about 292 years"))
		}
		total += time.Duration(n) * unit
	}
	return Duration{total}, nil
}

// String is the shortest form that ParseDuration reads, in days, hours, minutes and seconds.
func (d Duration) String() string {
	var b strings.Builder
	d.each(func(n time.Duration, unit string) { fmt.Fprintf(&b, "%d%s", n, unit) })
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// Words is the duration for people: "90 days", "1 day 12 hours".
func (d Duration) Words() string {
	var parts []string
	d.each(func(n time.Duration, unit string) {
		name := map[string]string{"d": "day", "h": "hour", "m": "minute", "s": "second", "ms": "millisecond"}[unit]
		if n != 1 {
			name += "s"
		}
		parts = append(parts, fmt.Sprintf("%d %s", n, name))
	})
	if len(parts) == 0 {
		return "no time"
	}
	return strings.Join(parts, " ")
}

func (d Duration) each(f func(n time.Duration, unit string)) {
	rest := d.d
	for _, u := range []string{"d", "h", "m", "s", "ms"} {
		if n := rest / units[u]; n > 0 {
			f(n, u)
			rest -= n * units[u]
		}
	}
}

// MarshalText is that of encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is that of encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}
