package job

import (
	"fmt"
	"slices"
)

// State is where a job stands; the zero State is not valid.
type State string

// The states of a job: queued → running → succeeded, failed or cancelled, with
// retrying between attempts and cancelling while a running one stops.
const (
	Queued     State = "queued"
	Running    State = "running"
	Retrying   State = "retrying"
	Cancelling State = "cancelling"
	Succeeded  State = "succeeded"
	Failed     State = "failed"
	Cancelled  State = "cancelled"
)

// States returns every valid state, in the order of a job's life.
func States() []State {
	return []State{Queued, Running, Retrying, Cancelling, Succeeded, Failed, Cancelled}
}

// Valid reports whether s is one of States.
func (s State) Valid() bool { return slices.Contains(States(), s) }

// Ended reports whether nothing more will come of the job by itself.
func (s State) Ended() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Working reports whether an attempt is under way, so that its worker may report.
func (s State) Working() bool { return s == Running || s == Cancelling }

// TransitionError says that a job cannot go from one state to another.
type TransitionError struct{ From, To State }

func (e *TransitionError) Error() string {
	return fmt.Sprintf("a %s job cannot become %s", e.From, e.To)
}

// may reports whether a job may go from s to next. Staying in a state is no
// transition, so nothing here allows it.
func (s State) may(next State) bool {
	switch s {
	case Queued:
		return next == Running || next == Cancelled || next == Failed
	case Running:
		return next == Retrying || next == Cancelling || next.Ended()
	case Retrying:
		return next == Running || next == Cancelled || next == Failed
	case Cancelling:
		return next.Ended()
	case Failed, Cancelled:
		return next == Queued
	case Succeeded:
		return false
	default:
		return false
	}
}
