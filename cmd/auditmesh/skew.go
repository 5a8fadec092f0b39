package main

import (
	"fmt"
	"time"

	"auditmesh/internal/api"
)

// when is a recorded time, marked if it is ahead of this clock.
func (a *app) when(ms uint64) string { return clock(ms) + aheadMark(ms, a.now()) }

// aheadMark says how far a recorded time is ahead of a clock; empty up to api.SkewAfter.
func aheadMark(ms uint64, now time.Time) string {
	if ahead := api.Ahead(ms, now); ahead > 0 {
		return " (" + daysText(ahead) + " ahead)"
	}
	return ""
}

// daysText is a span of a day or more.
func daysText(ms uint64) string {
	const day, year = 24 * 60 * 60 * 1000, 365
	switch days := ms / day; {
	case days < 2:
		return "1 day"
	case days < 2*year:
		return fmt.Sprintf("%d days", days)
	default:
		return fmt.Sprintf("%d years", days/year)
	}
}

// legend tells, under a list, of the entries with times ahead of this clock.
func (a *app) legend(ahead, of int, what string) {
	if ahead > 0 {
		fmt.Fprintf(a.stderr, "%d of these %d %s have times more than a day ahead of this clock, and stand above newer ones for it. A clock was wrong, or this one is: `auditmesh status` says of which logs.\n", ahead, of, what)
	}
}
