package audit

import (
	"testing"

	"auditmesh/audit/event"
)

// BenchmarkAppendBatch is AppendBatch of a thousand requests, the device included.
func BenchmarkAppendBatch(b *testing.B) {
	l := openLog(b, testOptions(b, 1))
	events := make([]event.Event, 1000)
	for i := range events {
		events[i] = &event.Request{TSUnixMS: 1795457017323, RequestID: event.RequestID{byte(i), byte(i >> 8)}, Argv: []string{"git", "status", "--short", "--branch"}, TimeoutMS: 30000}
	}
	for b.Loop() {
		if _, err := l.AppendBatch(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(events)), "ns/event")
}
