// Package follow copies the lines of a JSONL file that another program writes into
// a log, each exactly once, over crashes of either side and rotation of the file.
//
// [New] makes a follower of a log and a file, [Follower.Run] copies until its
// context ends, [Follower.Status] says how far it is. What cannot be a record as it
// is becomes one that says so: docs/formats.md, "Following".
package follow
