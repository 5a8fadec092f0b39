// Package segment keeps the files of a log: segments of lines, their heads, their
// indexes, and the checkpoints kept with them. It reads, proves and serves what is
// durable, and does not know who writes: an own log and a copy of another node's
// are both a [Store].
//
// [Sequence] is the segments of a log and what is known of its Merkle tree,
// [Checkpoints] what was signed of it, [Read] the one way in which both are loaded
// and compared, [Reader] the records in their order.
//
// A program that uses a log reaches most of this through audit.Log and audit.Copy,
// and needs this package for the types of their results: [Record], [DamageError],
// [ErrUnsigned], [ErrRetired].
//
// # Concurrency
//
// What is exported is safe for concurrent use unless it says otherwise. A Reader
// belongs to one goroutine. One writer at a time grows a Sequence.
package segment
