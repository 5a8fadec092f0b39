//go:build race

package audit

// damageStride spares the race detector, to which a test of one goroutine shows
// little, most of the offsets; .ci/test runs the test without it too.
const damageStride = 23
