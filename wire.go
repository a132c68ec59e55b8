package herald

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// State is where a job stands.
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

// Ended reports whether nothing more will come of the job by itself.
func (s State) Ended() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Job is one unit of work as its worker last reported it.
type Job struct {
	ID    string `json:"id"` // a UUID
	Kind  string `json:"kind"`
	Owner string `json:"owner"`
	Title string `json:"title"`

	State       State `json:"state"`
	Stalled     bool  `json:"stalled"`      // its worker has been silent for too long
	Attempt     int   `json:"attempt"`      // 0 until the first has started
	MaxAttempts int   `json:"max_attempts"` // after so many, a failure is final
	Version     int64 `json:"version"`      // +1 with each event

	Progress    float64         `json:"progress"` // 0 to 1; never goes back within an attempt
	Step        string          `json:"step"`
	Steps       []Step          `json:"steps"` // the plan, if there is one
	Processed   *int64          `json:"processed"`
	Total       *int64          `json:"total"`
	Unit        string          `json:"unit"`
	Message     string          `json:"message"`
	RemainingMS *int64          `json:"remaining_ms"` // the worker's estimate of the time left
	Details     json.RawMessage `json:"details"`

	Error    string          `json:"error"`
	RetryAt  *time.Time      `json:"retry_at"`
	Result   json.RawMessage `json:"result"`
	Args     json.RawMessage `json:"args"`
	Metadata map[string]any  `json:"metadata,omitempty"` // strings, numbers and booleans
	External bool            `json:"external"`           // it runs elsewhere
	Worker   string          `json:"worker"`

	LeaseMS       *int64     `json:"lease_ms"`        // how long its worker may be silent before it loses its attempt; nil: as long as anybody's
	CancelAskedAt *time.Time `json:"cancel_asked_at"` // since when its worker is asked to stop
	Estimate      *Estimate  `json:"estimate"`        // how long it may still take; nil when nothing is known

	CreatedAt   time.Time  `json:"created_at"`
	StartedAt   *time.Time `json:"started_at"` // when the first attempt began
	HeartbeatAt *time.Time `json:"heartbeat_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	FinishedAt  *time.Time `json:"finished_at"`

	AttemptStartedAt   *time.Time `json:"attempt_started_at"`             // when the last attempt began
	ArtifactsExpiredAt *time.Time `json:"artifacts_expired_at,omitempty"` // since when the files it made are no longer kept
}

// Estimate is how long a job may still take, as of its UpdatedAt, and how long such
// jobs took, in ranges. A field is nil when nothing is known.
type Estimate struct {
	LowMS  *int64 `json:"low_ms"`  // the time left: at least
	HighMS *int64 `json:"high_ms"` // at most

	UsualLowMS  *int64 `json:"usual_low_ms"`  // in which a tenth of such jobs were done
	UsualHighMS *int64 `json:"usual_high_ms"` // in which nine tenths were
	UsualSlowMS *int64 `json:"usual_slow_ms"` // in which 95 % were

	Percentile int `json:"percentile"` // how many of a hundred such jobs were done in the time so far: 0, 10, 90 or 95
}

// Step is one part of a job's plan. Its Weight is its share of the whole against
// the other steps' weights.
type Step struct {
	Name       string     `json:"name"`
	Weight     float64    `json:"weight,omitempty"`
	StartedAt  *time.Time `json:"started_at,omitempty"`  // the server's
	FinishedAt *time.Time `json:"finished_at,omitempty"` // the server's
}

// Apply returns the job as the event leaves it, or as it is when the event is
// not newer, or not of this job. The zero Job becomes any job that a whole one
// is told of.
func (j Job) Apply(e Event) (Job, error) {
	if !strings.HasPrefix(e.Type, "job.") || e.Type == JobLateReport || e.Type == JobCallback {
		return j, nil
	}
	next := j
	switch e.Type {
	case JobProgress, JobMessage: // all but what moves stays
		next.Processed, next.Total, next.RemainingMS, next.HeartbeatAt, next.Metadata, next.Estimate = nil, nil, nil, nil, nil, nil
	case JobDeleted:
		return j, nil
	default:
		next = Job{}
	}
	if err := json.Unmarshal(e.Data, &next); err != nil {
		return j, fmt.Errorf("read %s at %d: %w", e.Type, e.Seq, err)
	}
	if next.Version <= j.Version || j.ID != "" && j.ID != next.ID {
		return j, nil
	}
	return next, nil
}

// NewJob is what makes a job. Kind and Title are required.
type NewJob struct {
	Kind  string `json:"kind"`  // a word of your own, such as "build"
	Title string `json:"title"` // what people call it

	Args        any            `json:"args,omitempty"`         // what its worker needs to know; a JSON object
	Metadata    map[string]any `json:"metadata,omitempty"`     // what streams are filtered by: strings, numbers and booleans
	Owner       string         `json:"owner,omitempty"`        // whose job it is; default the token's owner
	Watchers    []string       `json:"watchers,omitempty"`     // topics that get its events too
	MaxAttempts int            `json:"max_attempts,omitempty"` // how often it may fail; default 3
	External    bool           `json:"external,omitempty"`     // it runs elsewhere; StartJob and Do set it
	Start       bool           `json:"start,omitempty"`        // with External: its attempt 1 begins now; StartJob and Do set it

	// CallbackURL is told of its end, by a signed POST: see docs/webhooks.md. It is
	// not shown to anybody.
	CallbackURL string `json:"callback_url,omitempty"`

	Worker string `json:"worker,omitempty"` // with Start: what people call the worker; default the token's owner
	Steps  []Step `json:"steps,omitempty"`  // with Start: the attempt's plan

	LeaseMS int64 `json:"lease_ms,omitempty"` // how long its worker may be silent before it loses its attempt; default the server's
	Size    int64 `json:"size,omitempty"`     // how much there is to do, in a unit of the kind's own, by which times are compared

	// Key makes the request one of a kind: the same job comes again for it, also
	// from another process. Default: a key for the one call.
	Key string `json:"-"`
}

// Report is what a worker says about its job: a state, a share done, a message,
// or any of these. A field left at its zero value says nothing; a Report that
// says nothing but its attempt is a heartbeat.
type Report struct {
	Attempt int   `json:"attempt"`         // the attempt it belongs to
	State   State `json:"state,omitempty"` // Retrying, Succeeded, Failed or Cancelled

	Progress     *float64 `json:"progress,omitempty"`      // share of the whole job, 0 to 1
	Step         string   `json:"step,omitempty"`          // the step under way, one of the plan's when there is a plan
	StepProgress *float64 `json:"step_progress,omitempty"` // share of that step, 0 to 1; sets Progress by the steps' weights

	Processed *int64 `json:"processed,omitempty"` // how much is done, in Unit
	Total     *int64 `json:"total,omitempty"`     // how much there is to do, in Unit
	Unit      string `json:"unit,omitempty"`      // such as "rows"

	Message     string         `json:"message,omitempty"`      // at most 1000 bytes
	Details     any            `json:"details,omitempty"`      // a JSON object that a page may show
	RemainingMS *int64         `json:"remaining_ms,omitempty"` // the worker's estimate of the time left
	Metadata    map[string]any `json:"metadata,omitempty"`     // replaces the job's

	// NextWithinMS promises the next report within that time, of at most a day. A
	// worker that promises nothing is stalled after 30 seconds of silence.
	NextWithinMS *int64 `json:"next_within_ms,omitempty"`

	Error    string     `json:"error,omitempty"`    // what went wrong; required with Retrying and Failed
	RetryAt  *time.Time `json:"retry_at,omitempty"` // with Retrying: when the next attempt may start
	Unblamed bool       `json:"unblamed,omitempty"` // with Retrying: it does not count as a failure
	Result   any        `json:"result,omitempty"`   // with Succeeded: what came of it; a JSON object
}

// Receipt is what became of reports.
type Receipt struct {
	JobID    string     `json:"job_id"`
	State    State      `json:"state"`    // the job's; Cancelling asks the worker to stop
	Attempt  int        `json:"attempt"`  // the job's; when it is not the worker's, that is to stop
	Version  int64      `json:"version"`  // the job's
	Repeated bool       `json:"repeated"` // the reports were recorded before, under the same key
	Reports  []Recorded `json:"reports"`  // one for each report, in order
}

// Recorded is what one report became.
type Recorded struct {
	Outcome string  `json:"outcome"`  // Applied, Unchanged or Late
	EventID *string `json:"event_id"` // of the event that says so, if one does
	Version int64   `json:"version"`  // the job's after it
}

// What a report may become.
const (
	Applied   = "applied"
	Unchanged = "unchanged" // a heartbeat
	Late      = "late"      // the attempt was over: it is in the log, and nobody is shown it
)

// Commands is what a worker is to do.
type Commands struct {
	Commands []string `json:"commands"` // CommandCancel or CommandStop; none: go on
	State    State    `json:"state"`    // the job's
	Attempt  int      `json:"attempt"`  // the job's
}

// What a worker may be told.
const (
	CommandCancel = "cancel" // stop, and report that the job is cancelled
	CommandStop   = "stop"   // the attempt is over, and there is nothing to report
)

// Event is one entry of the log: something happened. Its Data is the job for
// what happened to one, of JobProgress and JobMessage only the part that moves:
// Job.Apply reads both.
type Event struct {
	Seq  int64           `json:"seq"` // its place in the log
	ID   string          `json:"id"`
	Type string          `json:"type"`
	Time time.Time       `json:"time"`
	Data json.RawMessage `json:"data"`

	// What only History and JobEvents tell, and a stream does not.
	RecordedAt time.Time `json:"recorded_at,omitzero"` // when it was given its Seq
	JobID      string    `json:"job_id,omitempty"`
	Actor      string    `json:"actor,omitempty"`  // who caused it
	Topics     []string  `json:"topics,omitempty"` // whom it concerns; for support and admins
}

// EventFilter says which events are listed: those that meet all that is set. The
// zero EventFilter lists all that the token may see.
type EventFilter struct {
	Topics        []string            // that concern any of these
	User          string              // that concern the user
	Job           string              // of the job
	Kind          string              // of jobs of the kind
	Types         []string            // of any of these types, or of those that begin so: "job.*"
	States        []string            // that tell of a job in one of these states
	Errors        bool                // only failures and the like; not with Types
	Actor         string              // that the actor caused
	Metadata      map[string][]string // for each key, the values of which the event's must be one
	Since, Until  time.Time
	Text          string // whose message or error contains it; with Since, a topic, a user or a job
	After, Before int64  // only those behind, or in front of, a seq; one of the two
	Oldest        bool   // from the oldest on, and not from the newest
}

// Explanation is why a user got an event, or did not.
type Explanation struct {
	User     string    `json:"user"`
	Received bool      `json:"received"` // it was written to a stream of theirs
	Findings []Finding `json:"findings"`
}

// Finding is one thing that explains what a user got.
type Finding struct {
	Code   string `json:"code"` // what it is, such as "no_connection"; stable
	Text   string `json:"text"` // the same for people
	Client string `json:"client_id,omitempty"`
}

// The types of events of a job's life.
const (
	JobQueued     = "job.queued"
	JobStarted    = "job.started"
	JobProgress   = "job.progress"
	JobStep       = "job.step"
	JobMessage    = "job.message"
	JobRetrying   = "job.retrying"
	JobStalled    = "job.stalled"
	JobResumed    = "job.resumed"
	JobCancelling = "job.cancelling"
	JobCancelled  = "job.cancelled"
	JobSucceeded  = "job.succeeded"
	JobFailed     = "job.failed"
	JobLateReport = "job.late_report"
	JobDeleted    = "job.deleted"
	JobCallback   = "job.callback" // a try to tell the job's CallbackURL

	JobArtifactsExpired = "job.artifacts_expired" // the files it made are no longer kept

	JobAbsent       = "job.absent"        // a try to tell the job's owner, who was away, how it has ended
	JobShared       = "job.shared"        // there is a link that shows the job
	JobShareOpened  = "job.share_opened"  // somebody has come by the link for the first time
	JobShareRevoked = "job.share_revoked" // the link shows nothing any more
)

// The types of what a stream says of itself. They have no place in the log.
const (
	// StreamSnapshot is how a fresh stream begins: its Data has the active jobs,
	// which Event.Jobs reads.
	StreamSnapshot = "stream.snapshot"
	// StreamReset says that what came before is worth nothing: the log no longer
	// has what the stream has missed. A StreamSnapshot follows.
	StreamReset = "stream.reset"
)

// Jobs returns the jobs of a StreamSnapshot.
func (e Event) Jobs() ([]Job, error) {
	var snapshot struct {
		Jobs []Job `json:"jobs"`
	}
	if err := json.Unmarshal(e.Data, &snapshot); err != nil {
		return nil, fmt.Errorf("read a snapshot: %w", err)
	}
	return snapshot.Jobs, nil
}
