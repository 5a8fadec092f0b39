package crdt

// TaskKey names a task: no node can change another's tasks.
type TaskKey struct {
	Node    string
	Request [16]byte
}

// Op is the operation of one record.
type Op struct {
	Dot  Dot
	Time uint64 // milliseconds since 1970, as recorded by the dot's node
	// Task is the task that the operation is about. It is zero for Removal by
	// ranges and Succession. For a tag its node is the dot's node.
	Task TaskKey
	Body Body
}

// Body is what an operation does.
type Body interface{ body() }

// Tags: records that keep their task in the list.
type (
	// Request asks for an execution.
	Request struct {
		Agent, Machine [32]byte
		Argv           []string
		MatchedACL     *string
		StdinBytes     uint64
		TimeoutMS      uint32
	}
	// Started claims the task for the executing node.
	Started struct{ PID uint32 }
	// Warning joins the set of warnings.
	Warning struct {
		Kind  string
		Bytes *uint64
	}
	// Exit completes the task, with the outcome.
	Exit struct {
		Code, Signal             *int32
		DurationMS               uint64
		StdoutBytes, StderrBytes uint64
		Truncated                bool
	}
	// Denial completes the task: it was refused.
	Denial struct {
		Agent, Machine [32]byte
		Argv           []string
		Reason         string
	}
	// Application is an application's own event of this task.
	Application struct{ Name string }
)

// Operations that are no tags.
type (
	// Removal takes dots out of the list: those in Ranges, which must be of the
	// writer's own logs, or, without ranges, the task's dots in the same log
	// before the removal itself.
	Removal struct {
		Ranges []Range
		Reason string
	}
	// Review claims or completes the review of a task of whatever node.
	Review struct {
		Completed bool
		By        string
	}
	// Release takes back the claims and completions that it names.
	Release struct {
		By       string
		Replaces []Dot
	}
	// Note writes a register of the review.
	Note struct {
		By, Field, Value string
		Replaces         []Dot
	}
	// Succession says that the dot's log goes on where Old ended.
	Succession struct{ Old Log }
)

func (Request) body()     {}
func (Started) body()     {}
func (Warning) body()     {}
func (Exit) body()        {}
func (Denial) body()      {}
func (Application) body() {}
func (Removal) body()     {}
func (Review) body()      {}
func (Release) body()     {}
func (Note) body()        {}
func (Succession) body()  {}

// IsTag says whether a body keeps its task in the list.
func IsTag(b Body) bool { return eventName(b) != "" }

func eventName(b Body) string {
	switch b := b.(type) {
	case Request:
		return "request"
	case Started:
		return "started"
	case Warning:
		return "warning"
	case Exit:
		return "exit"
	case Denial:
		return "denial"
	case Application:
		return b.Name
	default:
		return ""
	}
}

// allowed says whether an operation may be applied at all: a node acts on its own
// tasks and logs only, except in review.
func (op Op) allowed() bool {
	switch b := op.Body.(type) {
	case Removal:
		for _, r := range b.Ranges {
			if r.Log.Node != op.Dot.Node {
				return false
			}
		}
		return len(b.Ranges) > 0 || op.Task.Node == op.Dot.Node
	case Succession:
		return b.Old.Node == op.Dot.Node && b.Old != op.Dot.Log
	case Review, Release, Note:
		return true
	default:
		return op.Task.Node == op.Dot.Node
	}
}
