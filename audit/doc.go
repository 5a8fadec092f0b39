// Package audit is the authority: one node's append-only, fsynced JSONL log of
// audit events, and verified copies of other nodes' logs.
//
// Entry points: [Create] makes a node's own log and [Adopt] makes it of a JSONL
// file, [Open] opens it and makes nothing, [Auditor] writes the
// five events of x0x's remote exec to it, [OpenCopy] opens a copy of another
// node's log, [Verify] checks files that nobody has open.
//
// # Bytes
//
// A line is one JSON object and a newline, byte for byte what x0x's ExecAudit
// writes (event/testdata/golden). The lines are the leaves of an RFC 6962 Merkle tree
// and the log signs C2SP tlog-checkpoints of it. docs/formats.md states every
// file: segments, segment heads, checkpoints, the last-signed state.
//
// # Crash safety
//
// An append is answered after fdatasync. A failed write or sync poisons the
// log: the kernel may have dropped the pages and called them clean, so nothing
// is written to that descriptor again. Recovery reads the file anew, sets an
// unfinished end aside, copies what lies beyond the last signed checkpoint into
// a new segment, syncs that, and only then cuts the old one. So what was merely
// in the page cache either becomes durable or is gone, and nothing signed is
// ever taken back: the last-signed state is synced before a signature is made,
// and only durable sizes are signed.
//
// # Concurrency
//
// Everything exported is safe for concurrent use unless it says otherwise.
package audit
