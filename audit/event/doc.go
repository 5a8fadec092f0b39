// Package event is the lines of a log: what each event's fields are, how they are
// written, and how they are read. [Encode] writes x0x's ExecAudit lines byte for
// byte, [ParseInput] is strict with what is to be appended, and [Decode] lenient
// with what stands in a log already. docs/formats.md, "Lines", states the format.
//
// The package does no I/O and is safe for concurrent use.
package event
