// Package merkle has what a proof about a log needs, and nothing else: the Merkle
// tree of RFC 6962 over a log's lines, the checkpoints that a node signs of it,
// proofs of records and of growth, batches that verify by themselves, and the names
// of logs and nodes. It reads no files and knows no events.
//
// Entry points: [ParseProof] checks a proof of a record, [ParseCheckpoint] a signed
// statement of a log's size and root, [Batch.Verify] a run of lines.
//
// # Bytes
//
// Checkpoints are C2SP tlog-checkpoints in signed notes, proofs are C2SP
// tlog-proofs. There is one spelling of each: what is not byte for byte its own
// re-encoding is refused. docs/formats.md has them, with a worked example.
//
// # Concurrency
//
// Nothing here locks. Values that are not changed may be shared.
package merkle
