// Package holdings is what a node has: its own log, the copies of other nodes'
// logs, and the evidence against nodes that contradicted themselves. Who shows,
// folds or sends logs reads them here.
//
// [Open] finds the copies in their directory. Everything is safe for concurrent use.
package holdings
