// Package queue is what stands in River's tables, as those see it who look after
// Herald. Nothing here changes any of it: an entry is cancelled or tried again by
// way of its job.
package queue

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
)

// State is where an entry stands, in River's word for it.
type State string

// The states, as an entry comes to them.
const (
	Pending   State = "pending"   // it waits for something that Herald makes no use of
	Scheduled State = "scheduled" // its time has not come
	Available State = "available" // it waits for a worker
	Running   State = "running"
	Retryable State = "retryable" // it failed, and its next time has not come
	Completed State = "completed"
	Cancelled State = "cancelled"
	Discarded State = "discarded" // it failed for the last time
)

// States lists all states.
func States() []State {
	return []State{Pending, Scheduled, Available, Running, Retryable, Completed, Cancelled, Discarded}
}

// Known reports whether it is a state.
func (s State) Known() bool { return slices.Contains(States(), s) }

var (
	// ErrNotFound means that River has no such entry, or has it no longer.
	ErrNotFound = errors.New("there is no such entry; River removes those that have ended after a while")
	// ErrTooSlow means that the database did not answer in time.
	ErrTooSlow = errors.New("the database took too long to look into the queue")
)

// Filter says which entries are listed; what is empty is of no matter.
type Filter struct {
	State State
	Queue string
	Kind  string

	Before   int64 // only entries whose id is less; 0: all
	Limit    int
	Patience time.Duration // for how long is looked; a statement is always finished
}

// Any reports whether all entries are listed.
func (f Filter) Any() bool { return f.State == "" && f.Queue == "" && f.Kind == "" }

// Page is a part of what a filter asks for, newest first.
type Page struct {
	Entries []Entry
	More    bool  // there may be more
	Partial bool  // not all was looked at in time
	Reached int64 // the id before which to go on
}

// Entry is one of River's jobs: the next attempt of a job of Herald's, or an errand
// such as a callback. Its JSON is the API's.
type Entry struct {
	ID          int64      `json:"id"`
	Queue       string     `json:"queue"`
	Kind        string     `json:"kind"`
	State       State      `json:"state" enum:"pending,scheduled,available,running,retryable,completed,cancelled,discarded"`
	Priority    int        `json:"priority" doc:"From 1, which goes first, to 4."`
	Attempt     int        `json:"attempt" doc:"As River counts. A job's attempts are counted by Herald."`
	MaxAttempts int        `json:"max_attempts" doc:"After how many River gives it up."`
	CreatedAt   time.Time  `json:"created_at"`
	ScheduledAt time.Time  `json:"scheduled_at" doc:"When it may be taken next, or might have been last."`
	AttemptedAt *time.Time `json:"attempted_at" doc:"When it was begun last."`
	FinalizedAt *time.Time `json:"finalized_at" doc:"When it ended."`
	Node        string     `json:"node" doc:"Which has it, or had it last; empty when none has had it."`
	Error       string     `json:"error" doc:"The beginning of its last error."`
	Job         *EntryJob  `json:"job" doc:"Whose attempt it is, or which it is about; null for other errands."`
}

// EntryJob is the job of Herald's that an entry is about.
type EntryJob struct {
	ID    uuid.UUID `json:"id"`
	Title string    `json:"title" doc:"Empty when the job was removed."`
	Owner string    `json:"owner" doc:"Empty when the job was removed."`
}

// Owner is whose job the entry is about; empty when it is nobody's.
func (e Entry) Owner() string {
	if e.Job == nil {
		return ""
	}
	return e.Job.Owner
}

// EntryDetails is an entry with what became of its attempts.
type EntryDetails struct {
	Entry
	Nodes  []string       `json:"nodes" doc:"Which began it, in that order; River keeps the last 100."`
	Errors []EntryFailure `json:"errors" doc:"How attempts of it failed, the last 50, newest first."`
}

// EntryFailure is how an attempt of an entry failed.
type EntryFailure struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	Error   string    `json:"error"`
	Trace   string    `json:"trace" doc:"Where it panicked; else empty."`
}

// Overview is all queues at a moment.
type Overview struct {
	At          time.Time `json:"at"`
	Queues      []Queue   `json:"queues" doc:"By name, 100 at most."`
	Nodes       []Node    `json:"nodes" doc:"By name, 100 at most."`
	Kinds       []string  `json:"kinds" doc:"Of the entries that there are, 100 at most."`
	MostCounted int64     `json:"most_counted" doc:"A number that large means so many or more."`
	RateWindow  int64     `json:"rate_window_ms" doc:"Over how long rates are taken, at most."`
}

// Queue is one queue at a moment.
type Queue struct {
	Name     string          `json:"name"`
	PausedAt *time.Time      `json:"paused_at" doc:"Since when nothing is taken from it; null while it goes on."`
	Counts   map[State]int64 `json:"counts" doc:"How many entries are in each state; those with none are left out."`
	OldestAt *time.Time      `json:"oldest_at" doc:"Since when the one waits that has waited longest for a worker."`
	NextAt   *time.Time      `json:"next_at" doc:"When the next comes that is scheduled or retryable."`

	Completed float64 `json:"completed_per_minute"`
	Discarded float64 `json:"discarded_per_minute"`
}

// Node is a process that works on entries, or might.
type Node struct {
	Name      string     `json:"name"`
	Leads     bool       `json:"leads" doc:"It schedules, cleans up and looks for what is stuck, for all."`
	Running   int64      `json:"running" doc:"How many entries it has in its hands."`
	OldestAt  *time.Time `json:"oldest_at" doc:"When it began the oldest of these."`
	StartedAt *time.Time `json:"started_at" doc:"Null when it is not entered any more, and neither is heartbeat_at."`
	Heartbeat *time.Time `json:"heartbeat_at" doc:"When it was heard of last."`
}
