// Package mirror keeps all logs that a node holds, its own and the copies of
// others', and folds them into the shared view.
//
// [Holdings] are the logs: files, the authority, never thrown away with the
// view. [Mirror] is the fold: it reads each log from a cursor to what is durable,
// and puts rows and cursor into go-ds-badger in one transaction a step. A row is
// put once and never changed, since each record is one operation of the CRDT and
// a task is what its operations make when it is read (package crdt). So the fold
// reads nothing but lines, any order of steps gives the same rows, and a crash
// between any two instructions leaves a view that its cursors describe.
//
// The database is derived. Deleted, damaged, or of another schema, it is made
// anew from the files, with the same view hash.
package mirror
