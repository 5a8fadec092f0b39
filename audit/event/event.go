// Package event has the lines of an audit log: what events there are, the fields
// of each, and how they become lines and lines become them again. It does no I/O.
//
// An event is declared in one place: execution.go, review.go and incident.go each
// have a group of them. A declaration is a struct, its Name and Time, its method
// fields, and an entry in the file's list. From these come the writer ([Encode]),
// the strict reader of clients' input ([ParseInput]), the lenient reader of logs
// ([Decode]), the checks, and the table in docs/formats.md, which a test compares.
//
// Events are plain values. No function keeps what it is given, but for the Body of
// an [Application], which is the line that was decoded.
package event

import "slices"

// Event is one audit event. The concrete types are the pointers to the structs
// of this package; their fields are those of the line, in its order.
type Event interface {
	// Name is the line's "event".
	Name() string
	// Time is the line's "ts_unix_ms": milliseconds since 1970 by the clock of
	// the node that wrote it.
	Time() uint64
	// fields takes each field that follows "ts_unix_ms" through the codec, in the
	// order of the line, and returns the codec. It is the one place that says what
	// the fields are called, what JSON they are, and what may stand in them.
	fields(c codec) codec
}

// checker is what an event has that must obey more than each field by itself.
type checker interface {
	// check says why the event cannot be written, or returns nil.
	check() error
}

// kind is an event that this version knows. An application's own are of no kind.
type kind struct {
	// make gives an event of this kind, with no time and empty fields.
	make func(ts uint64) Event
	// byNode is set where only the node itself may write the event. Such an event
	// is checked when it is read, too, since what it does to the view must not
	// depend on who reads it.
	byNode bool
}

// named is a kind under the name that its own events tell.
type named struct {
	name string
	kind
}

// kinds are all of them. Those that most lines are of come first, since a line's
// kind is looked for from the front.
var kinds = withNames(executionKinds, reviewKinds, incidentKinds)

func withNames(groups ...[]kind) (list []named) {
	for _, k := range slices.Concat(groups...) {
		list = append(list, named{k.make(0).Name(), k})
	}
	return list
}

// kindOf finds a kind by its name; nil if there is none.
func kindOf(name []byte) *named {
	for i := range kinds {
		if kinds[i].name == string(name) {
			return &kinds[i]
		}
	}
	return nil
}

// ByNode says whether only the node itself may write events of a name.
func ByNode(name string) bool {
	k := kindOf([]byte(name))
	return k != nil && k.byNode
}

// check says why an event cannot be written, or returns nil.
func check(e Event) error {
	if c := e.fields(codec{mode: checking}); c.wrong != nil {
		return c.wrong
	}
	if e, ok := e.(checker); ok {
		return e.check()
	}
	return nil
}
