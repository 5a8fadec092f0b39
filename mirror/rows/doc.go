// Package rows is how the view stands on the disk: the keys and values of its rows
// in go-ds-badger, the numbers that make keys short, and the transactions.
//
// [Store] is the database. A [Tx] reads one state of it; a [Step] is a Tx that also
// writes, and becomes visible as a whole or not at all. Both are a crdt.Store, so a
// crdt.TaskList runs over them: it decides which operations are put and what they
// show, and the rows only keep them. The fold's own rows (the order of time,
// postings, open tasks, cursors) have their keys and forms here too; when they are
// written and read is decided in package mirror.
//
// A Store may be used by anyone at any time. A Tx belongs to one goroutine.
package rows
