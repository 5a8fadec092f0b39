// Package crdt is the shared view's mathematics: an observed-remove set of
// tasks whose tags are the positions of records in the nodes' logs.
//
// Every operation comes from one record, and carries that record's [Dot]. What a
// replica knows is the set of operations that it has seen. A [Store] keeps that
// set, in memory ([MemoryStore]) or on a disk (package mirror). [TaskList] has the
// rules: which operations are allowed into the set ([TaskList.Apply]), and what the
// set shows ([TaskList.Show]).
//
// To merge two replicas is to unite their sets. What is shown is a function of the
// set, so any order, duplication or batching of the same records gives the same view.
//
// Sources: the OR-set is that of Shapiro et al., "A comprehensive study of
// Convergent and Commutative Replicated Data Types" (INRIA RR-7506, 2011), with
// dots and without stored tombstones per element as in Bieniusa et al., "An
// optimized conflict-free replicated set" (INRIA RR-8083, 2012). Since a log is
// append-only, its positions are unique tags for ever, and a removal is a range.
//
// The package is pure: no clock, no goroutine, no input or output. Its types
// are not safe for concurrent use.
package crdt
