// Package gossip moves batches between the members of a mesh over libp2p.
//
// Gossip is a hint, catch-up is the protocol. A node publishes each new run of
// its log as one signed batch on the topic auditmesh/tasklist/<id>; gossipsub
// may drop any message at many points without a word. So everything that hints
// at a loss (a peer that joins, a hole, a drop that the tracer sees, a timer)
// wakes catch-up, in which two nodes state their holdings on a stream of
// /auditmesh/sync/1 and send one another what is missing.
//
// The package knows lines and proofs, and no task: what it reads, serves and
// extends are [Holdings]. Formats are in docs/formats.md, "Wire". [Mesh.Run] owns
// the host and everything on it; the other methods may be called at any time.
package gossip
