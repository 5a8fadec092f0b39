// Package mirror folds the logs that a node holds into the shared view, and
// answers questions about it.
//
// [Mirror] is both. The fold (fold.go, foldstep.go) reads each log from a cursor to
// what is durable. It puts every operation through a crdt.TaskList, which has the
// rules, and adds the rows by which queries find tasks. Rows and cursor go into one
// transaction a step. A row is put once and never changed, so any order of steps
// gives the same rows, and a crash between any two instructions leaves a view that
// its cursors describe. Retention takes rows out the same way (retire.go).
//
// A question reads one state of the view (snapshot.go). plan.go picks the scan for
// a query: by looking tasks up (listscan.go), by postings (postingscan.go), or by
// time (timescan.go).
//
// How rows stand on the disk is package mirror/rows. The database is derived.
// Deleted, damaged, or of another schema, it is made anew from the files, with the
// same view hash.
package mirror
