package main

import (
	"testing"

	"auditmesh/internal/api"
	"auditmesh/mirror"
)

func TestBehind(t *testing.T) {
	st := api.Status{Unfolded: mirror.ManyUnfolded, Vector: map[string]api.Held{
		"a/1": {First: 5000, Size: 15000, Stored: 15000},
		"b/2": {Size: 20000, Stored: 30000},
		"c/3": {First: 10, Stored: 10},
	}}
	if got, want := behind(st), "10000 of the 40000 records that are held here are not in the view yet (75% are)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	st.Unfolded--
	if got := behind(st); got != "" {
		t.Errorf("a view that keeps up: %q", got)
	}
}
