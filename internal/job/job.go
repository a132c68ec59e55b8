// Package job is what Herald knows of a job: its states, what a report may
// change, and which event says so. It does no I/O.
package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Job is one unit of work as its worker last reported it. Its JSON is the API's.
//
//nolint:recvcheck // its methods return a changed copy, which unexported ones change in place
type Job struct {
	ID    uuid.UUID `json:"id"` // a UUIDv7
	Kind  string    `json:"kind"`
	Owner string    `json:"owner"`
	Title string    `json:"title"`

	State       State `json:"state"`
	Stalled     bool  `json:"stalled"`      // its worker's heartbeat is late
	Attempt     int   `json:"attempt"`      // 0 until the first has started
	MaxAttempts int   `json:"max_attempts"` // after so many, a failure is final
	Version     int64 `json:"version"`      // +1 with each event

	Progress  float64         `json:"progress"` // 0 to 1; never goes back within an attempt
	Step      string          `json:"step"`
	Steps     []Step          `json:"steps"`
	Processed *int64          `json:"processed"`
	Total     *int64          `json:"total"`
	Unit      string          `json:"unit"`
	Message   string          `json:"message"`
	Remaining *Millis         `json:"remaining_ms"`
	Details   json.RawMessage `json:"details"`

	Error   string          `json:"error"`
	RetryAt *time.Time      `json:"retry_at"`
	Result  json.RawMessage `json:"result"`
	Args    json.RawMessage `json:"args"`

	Metadata json.RawMessage `json:"metadata,omitempty"` // by which streams are filtered; an object of scalars
	External bool            `json:"external"`           // no worker of ours runs it: its worker asks for attempts, and reports

	ArtifactsExpiredAt *time.Time `json:"artifacts_expired_at,omitempty"` // since when the files it made are no longer kept

	CallbackURL string `json:"-"` // who is told of its end; a part of it may be secret, so nobody is shown it

	Watchers []event.Topic `json:"-"` // topics besides its own and its owner's
	QueueID  int64         `json:"-"` // the queue's entry for the attempt to come or under way; 0 when it runs elsewhere
	Worker   string        `json:"worker"`

	// Lease is how long its worker may be silent before it loses its attempt; nil
	// for as long as anybody's.
	Lease         *Millis    `json:"lease_ms"`
	CancelAskedAt *time.Time `json:"cancel_asked_at"` // since when its worker is asked to stop
	NextDueAt     *time.Time `json:"-"`               // when its worker has promised to speak next, if it has

	// Estimate is how long it may still take, as of its last event. Those who
	// change a job do not set it: it comes of what follows.
	Estimate *Estimate `json:"estimate"`
	Pace     Pace      `json:"-"`
	Likeness string    `json:"-"` // jobs of one kind and likeness are expected to take about as long
	Usual    *Usual    `json:"-"` // how long those took, as known when the attempt began; nil when too few have

	River River `json:"-"` // the entry of an application's own River that runs it; zero when none does

	CreatedBy string `json:"-"` // who asked for it
	ClaimedBy string `json:"-"` // when External: who has the attempt under way, or had the last one

	CreatedAt   time.Time  `json:"created_at"`
	StartedAt   *time.Time `json:"started_at"` // when the first attempt began
	HeartbeatAt *time.Time `json:"heartbeat_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	FinishedAt  *time.Time `json:"finished_at"`

	AttemptStartedAt *time.Time `json:"attempt_started_at"` // when the last attempt began
}

// River names a job of a River that is not Herald's own. Its triggers write the
// row here whenever it changes, so whatever is asked for is asked of it.
type River struct {
	Schema string
	ID     int64
}

// Ours reports whether Herald's own workers run the job.
func (j Job) Ours() bool { return !j.External && j.River == River{} }

// Step is one part of a job's plan. Its Weight is its share of the whole
// against the other steps' weights.
type Step struct {
	Name       string     `json:"name"`
	Weight     float64    `json:"weight"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

// Millis is a duration that is whole milliseconds in JSON.
type Millis int64

// Moving is the part of a job that progress changes, and all that an event of
// progress carries. A reader with an older version of the job replaces these
// fields and keeps the rest.
type Moving struct {
	ID          uuid.UUID       `json:"id"`
	Version     int64           `json:"version"`
	Attempt     int             `json:"attempt"`
	State       State           `json:"state"`
	Stalled     bool            `json:"stalled"`
	Progress    float64         `json:"progress"`
	Step        string          `json:"step"`
	Processed   *int64          `json:"processed"`
	Total       *int64          `json:"total"`
	Unit        string          `json:"unit"`
	Message     string          `json:"message"`
	Remaining   *Millis         `json:"remaining_ms"`
	Details     json.RawMessage `json:"details"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	HeartbeatAt *time.Time      `json:"heartbeat_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
	Estimate    *Estimate       `json:"estimate"`
}

// Moving returns the part of j that progress changes.
func (j Job) Moving() Moving {
	return Moving{
		ID: j.ID, Version: j.Version, Attempt: j.Attempt, State: j.State, Stalled: j.Stalled,
		Progress: j.Progress, Step: j.Step, Processed: j.Processed, Total: j.Total, Unit: j.Unit,
		Message: j.Message, Remaining: j.Remaining, Details: j.Details, Metadata: j.Metadata,
		HeartbeatAt: j.HeartbeatAt, UpdatedAt: j.UpdatedAt, Estimate: j.Estimate,
	}
}

// Topics returns whom the job's events concern: those who follow it, its
// owner, and its watchers.
func (j Job) Topics() []event.Topic {
	return append([]event.Topic{event.JobTopic(j.ID), event.UserTopic(j.Owner)}, j.Watchers...)
}

var (
	// ErrNotFound is returned when there is no such job.
	ErrNotFound = errors.New("there is no such job")
	// ErrNotEnded is returned for what only an ended job allows.
	ErrNotEnded = errors.New("the job has not ended")
	// ErrSuperseded is returned to a worker whose entry in the queue is not the
	// one that is to run the job now.
	ErrSuperseded = errors.New("another entry of the queue runs the job")
	// ErrNotExternal is returned to who would run a job that waits in a queue.
	ErrNotExternal = errors.New("the job waits in a queue, whose workers run it")
	// ErrLeftQueue is returned for a retry of a job whose River has removed it.
	ErrLeftQueue = errors.New("the job's River has removed it: insert it there anew")
	// ErrNoneWaits is returned to who would run a job, when none of the kinds
	// waits for a worker.
	ErrNoneWaits = errors.New("no such job waits for a worker")
)

// Filter says which of an owner's jobs are listed.
type Filter struct {
	Owner  string
	States []State   // none: all
	Kind   string    // empty: all
	Text   string    // only those with this in their title, in small letters or large; empty: all
	Before uuid.UUID // only jobs made before this one; zero: from the newest on
	Limit  int
}

// DefaultAttempts is how often a job may fail unless it says otherwise.
const DefaultAttempts = 3

// New is what starts a job's life.
type New struct {
	Kind        string
	Owner       string
	Title       string
	Args        json.RawMessage // what the worker needs; a JSON object
	Metadata    json.RawMessage // what streams are filtered by: a JSON object of strings, numbers and booleans
	Watchers    []event.Topic
	MaxAttempts int    // default DefaultAttempts
	CallbackURL string // who is told of its end; empty: nobody

	Lease    time.Duration // how long its worker may be silent; 0: as long as anybody's
	Size     int64         // how much there is to do, in a unit of the kind's own; 0: not known
	Likeness string        // what else it has in common with jobs that take about as long

	External  bool   // it runs elsewhere, and waits for no worker of ours
	Begin     *Claim // with External: the first attempt, which begins with the job; nil when one is to be claimed later
	CreatedBy string // who asks for it; default Owner
	Key       string // idempotency key, CreatedBy's own
}

// maxCallbackURL bounds a callback address, in bytes.
const maxCallbackURL = 2048

// MaxWatchers is how many topics besides its own and its owner's a job may have.
const MaxWatchers = event.MaxTopics - 2

// Create returns a queued job and the event that tells of it, or an
// *InvalidError or an event.ErrKey.
func Create(n New, now time.Time) (Outcome, error) {
	if n.Args == nil {
		n.Args = json.RawMessage(`{}`)
	}
	if n.MaxAttempts == 0 {
		n.MaxAttempts = DefaultAttempts
	}
	if n.CreatedBy == "" {
		n.CreatedBy = n.Owner
	}
	if err := n.check(); err != nil {
		return Outcome{}, err
	}
	j := Job{
		ID: uuid.Must(uuid.NewV7()), Kind: n.Kind, Owner: n.Owner, Title: n.Title, Args: n.Args, Metadata: n.Metadata,
		Watchers: n.Watchers, External: n.External, CreatedBy: n.CreatedBy, CallbackURL: n.CallbackURL,
		State: Queued, MaxAttempts: n.MaxAttempts, Steps: []Step{}, CreatedAt: now, Likeness: n.Likeness + sizeClass(n.Size),
	}
	if n.Lease > 0 {
		j.Lease = new(Millis(n.Lease.Milliseconds()))
	}
	return j.tell(event.JobQueued, n.CreatedBy, now)
}

func (n New) check() error {
	if err := firstError(
		checkText("kind", n.Kind, maxWord),
		checkText("title", n.Title, MaxTitle),
		checkText("callback_url", n.CallbackURL, maxCallbackURL),
		checkObject("args", n.Args, maxArgs),
		checkMetadata(n.Metadata),
	); err != nil {
		return err
	}
	if _, err := event.ParseTopic(string(event.UserTopic(n.Owner))); err != nil {
		return &InvalidError{"owner", err.Error()}
	}
	switch {
	case n.Kind == "":
		return &InvalidError{"kind", "a job needs a kind"}
	case n.Title == "":
		return &InvalidError{"title", "a job needs a title"}
	case n.MaxAttempts < 1:
		return &InvalidError{"max_attempts", "at least 1"}
	case n.Lease != 0 && (n.Lease < MinLease || n.Lease > MaxLease):
		return &InvalidError{"lease_ms", fmt.Sprintf("%v: want %v to %v", n.Lease, MinLease, MaxLease)}
	case n.Size < 0:
		return &InvalidError{"size", "cannot be negative"}
	case n.Begin != nil && !n.External:
		return &InvalidError{"start", "only a job that runs elsewhere is started by who makes it"}
	case len(n.Watchers) > MaxWatchers:
		return &InvalidError{"watchers", fmt.Sprintf("%d topics, at most %d", len(n.Watchers), MaxWatchers)}
	}
	return event.CheckKey(n.Key)
}
