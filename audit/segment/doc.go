// Package segment is a log's files on the disk: its segments with their heads and
// indexes, the checkpoints kept beside them, and what is read from them.
//
// [List] finds the segments of a [Layout], [Load] reads them under a [Policy] into
// a [Sequence], and a [Store] serves records, proofs and batches from that. Who
// writes a log (package audit) grows the sequence once lines are durable.
//
// docs/formats.md states every file. Nothing here is signed, and nothing is
// rewritten: files are made, appended to, cut at a place that was never
// acknowledged, and removed from the front.
//
// A Sequence and a Store are safe for concurrent use beside one writer.
package segment
