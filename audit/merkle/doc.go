// Package merkle is the evidence, without any file: the Merkle tree of RFC 6962,
// log names, signed checkpoints (C2SP tlog-checkpoint and signed-note), proofs of
// records and of consistency (C2SP tlog-proof), and batches, which verify without
// other state. It is all that an auditor's tool needs: [ParseProof] checks a proof
// with nothing but the text of it.
//
// The package is pure: no clock, no goroutine, no input or output. What it reads
// is hostile until verified, so sizes are checked before memory is taken.
package merkle
