package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
)

// Herald is the actor of what no person and no worker caused.
const Herald = "herald"

// Outcome is what a request or a report comes to: the row as it is to stand,
// and the event that says so.
type Outcome struct {
	Job      Job
	Event    *event.Pending // nil after a bare heartbeat
	Late     bool           // the report came from an attempt that is over, and changed nothing
	Repeated bool           // the report's key was seen: this is the first answer again, as Answer.Outcome has it
}

// Apply returns what a worker's report changes. A report from an attempt that
// is over comes out as Late, with an event that keeps it for the audit. The
// error is an *InvalidError or a *TransitionError.
func (j Job) Apply(r Report, now time.Time) (Outcome, error) {
	if err := r.Check(); err != nil {
		return Outcome{}, err
	}
	if r.Attempt > j.Attempt {
		return Outcome{}, &InvalidError{"attempt", fmt.Sprintf("%d has not started; the job is at %d", r.Attempt, j.Attempt)}
	}
	if r.Attempt < j.Attempt || !j.State.Working() {
		return j.late(r, now)
	}
	if r.State != "" && !j.State.may(r.State) {
		return Outcome{}, &TransitionError{From: j.State, To: r.State}
	}
	next := j
	next.HeartbeatAt, next.NextDueAt = &now, r.nextDue(now)
	if r.Heartbeat() && !j.Stalled {
		return Outcome{Job: next}, nil
	}
	if err := next.move(r, now); err != nil {
		return Outcome{}, err
	}
	next.Stalled = false
	next.keepPace(now)
	if r.State != "" {
		next.end(r, now)
	}
	return next.tell(j.eventType(next), j.Worker, now)
}

// nextDue is when the report promises the next one, if it does: an end promises
// nothing.
func (r Report) nextDue(now time.Time) *time.Time {
	if r.NextWithin == nil || r.State != "" {
		return nil
	}
	return new(now.Add(r.NextWithin.Truncate(time.Millisecond)))
}

// eventType names the most important thing that next has and j has not.
func (j Job) eventType(next Job) event.Type {
	switch {
	case next.State != j.State:
		return event.Type("job." + string(next.State))
	case j.Stalled:
		return event.JobResumed
	case next.Step != j.Step:
		return event.JobStep
	case next.Message != j.Message:
		return event.JobMessage
	default:
		return event.JobProgress
	}
}

// move takes over what r says of the work itself.
func (j *Job) move(r Report, now time.Time) error {
	if r.Step != "" && r.Step != j.Step {
		if err := j.enter(r.Step, now); err != nil {
			return err
		}
	}
	if r.StepProgress != nil {
		if share, ok := j.overall(*r.StepProgress); ok {
			j.Progress = max(j.Progress, share)
		}
	}
	if r.Progress != nil {
		j.Progress = max(j.Progress, *r.Progress)
	}
	set(&j.Processed, r.Processed)
	set(&j.Total, r.Total)
	set(&j.Unit, r.Unit)
	set(&j.Message, r.Message)
	if r.Remaining != nil {
		left := Millis(r.Remaining.Milliseconds())
		j.Remaining = &left
	}
	if r.Details != nil {
		j.Details = r.Details
	}
	if r.Metadata != nil {
		j.Metadata = r.Metadata
	}
	return nil
}

// enter ends the step under way and begins another one. Counts belong to a
// step, so they start afresh.
func (j *Job) enter(name string, now time.Time) error {
	at := slices.IndexFunc(j.Steps, func(s Step) bool { return s.Name == name })
	if at < 0 && len(j.Steps) > 0 {
		return &InvalidError{"step", fmt.Sprintf("%q is not in the job's plan", name)}
	}
	j.Steps = slices.Clone(j.Steps)
	j.finishSteps(at, now)
	if at >= 0 {
		j.Steps[at].StartedAt = &now
		if share, ok := j.stepBase(at); ok {
			j.Progress = max(j.Progress, share)
		}
	}
	j.Step = name
	j.Processed, j.Total, j.Unit, j.Remaining, j.Details = nil, nil, "", nil, nil
	return nil
}

// finishSteps marks every step before the index as finished.
func (j *Job) finishSteps(before int, now time.Time) {
	for i := range max(before, 0) {
		if j.Steps[i].StartedAt != nil && j.Steps[i].FinishedAt == nil {
			j.Steps[i].FinishedAt = &now
		}
	}
}

// overall turns a share of the step under way into a share of the whole job.
func (j *Job) overall(share float64) (float64, bool) {
	at := slices.IndexFunc(j.Steps, func(s Step) bool { return s.Name == j.Step })
	if at < 0 {
		return 0, false
	}
	start, ok := j.stepBase(at)
	end, _ := j.stepBase(at + 1)
	return start + float64((end-start)*share), ok // rounded in between on every machine, as in SQL
}

// stepBase is the share of the whole that lies before the step with the index.
func (j *Job) stepBase(index int) (float64, bool) {
	var before, all float64
	for i, s := range j.Steps {
		if i < index {
			before += s.Weight
		}
		all += s.Weight
	}
	return before / all, all > 0
}

// end takes over the change of state that r reports.
func (j *Job) end(r Report, now time.Time) {
	j.State = r.State
	j.Error = r.Error
	j.RetryAt = stored(r.RetryAt)
	j.Remaining = nil
	switch r.State {
	case Succeeded:
		j.Progress = 1
		j.Result = r.Result
		j.Steps = slices.Clone(j.Steps)
		j.finishSteps(len(j.Steps), now)
	case Retrying:
		if r.Unblamed {
			j.MaxAttempts++
		}
	case Queued, Running, Cancelling, Failed, Cancelled:
	}
	if r.State.Ended() {
		j.FinishedAt = &now
	}
}

// stored is the time as the database keeps it: in UTC, to the microsecond.
func stored(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(time.UnixMicro(t.UnixMicro()).UTC())
}

// Start begins the next attempt, on the worker and with the plan given. The
// attempt's number, which fences off all earlier attempts, is in the outcome.
// The error is a *TransitionError or an *InvalidError.
func (j Job) Start(worker string, plan []Step, now time.Time) (Outcome, error) {
	if !j.State.may(Running) {
		return Outcome{}, &TransitionError{From: j.State, To: Running}
	}
	if err := checkPlan(plan); err != nil {
		return Outcome{}, err
	}
	j.fresh()
	j.State = Running
	j.Attempt++
	j.Worker = worker
	j.Steps = slices.Clone(plan)
	if j.Steps == nil {
		j.Steps = []Step{}
	}
	if j.StartedAt == nil {
		j.StartedAt = &now
	}
	j.HeartbeatAt, j.AttemptStartedAt = &now, &now
	return j.tell(event.JobStarted, worker, now)
}

// Claim begins an attempt of a job that runs elsewhere.
type Claim struct {
	By     string // who reports on it
	Worker string // what people call that; default By
	Plan   []Step
	Key    string // idempotency key, the job's own
}

// Claim is Start for a job that runs elsewhere. It returns ErrNotExternal for
// another one.
func (j Job) Claim(c Claim, now time.Time) (Outcome, error) {
	if !j.External {
		return Outcome{}, ErrNotExternal
	}
	if c.Worker == "" {
		c.Worker = c.By
	}
	j.ClaimedBy = c.By
	return j.Start(c.Worker, c.Plan, now)
}

func checkPlan(plan []Step) error {
	if len(plan) > maxSteps {
		return &InvalidError{"steps", fmt.Sprintf("%d steps, at most %d", len(plan), maxSteps)}
	}
	for _, s := range plan {
		switch err := checkText("steps", s.Name, maxWord); {
		case err != nil:
			return err
		case s.Name == "":
			return &InvalidError{"steps", "a step needs a name"}
		case s.Weight != 0 && !(s.Weight >= 1e-6 && s.Weight <= 1e6):
			return &InvalidError{"steps", fmt.Sprintf("%v: a weight is 0, or between a millionth and a million", s.Weight)}
		}
	}
	return nil
}

// fresh forgets what earlier attempts said.
func (j *Job) fresh() {
	j.Progress, j.Step, j.Steps = 0, "", []Step{}
	j.Processed, j.Total, j.Unit, j.Message, j.Remaining, j.Details = nil, nil, "", "", nil, nil
	j.Error, j.RetryAt, j.Result, j.Stalled, j.FinishedAt = "", nil, nil, false, nil
	j.ArtifactsExpiredAt = nil
	j.CancelAskedAt, j.NextDueAt, j.AttemptStartedAt, j.Pace = nil, nil, nil, Pace{}
}

// Cancel asks for the job's end: at once where nothing runs, else as soon as
// its worker has stopped. Asking twice changes nothing and has no event.
func (j Job) Cancel(actor string, now time.Time) (Outcome, error) {
	switch {
	case j.State == Cancelling || j.State == Cancelled:
		return Outcome{Job: j}, nil
	case j.State.may(Cancelling):
		j.State, j.CancelAskedAt = Cancelling, &now
		return j.tell(event.JobCancelling, actor, now)
	case j.State.may(Cancelled):
		j.State = Cancelled
		j.RetryAt = nil
		j.FinishedAt = &now
		return j.tell(event.JobCancelled, actor, now)
	default:
		return Outcome{}, &TransitionError{From: j.State, To: Cancelled}
	}
}

// Requeue gives a failed or cancelled job another life. Attempts go on
// counting, so reports from its earlier life stay fenced off, and it may fail
// as often again as it could at first.
func (j Job) Requeue(actor string, attempts int, now time.Time) (Outcome, error) {
	if !j.State.may(Queued) {
		return Outcome{}, &TransitionError{From: j.State, To: Queued}
	}
	j.fresh()
	j.State = Queued
	j.MaxAttempts = j.Attempt + attempts
	j.StartedAt, j.HeartbeatAt, j.Worker, j.ClaimedBy, j.Usual = nil, nil, "", "", nil
	return j.tell(event.JobQueued, actor, now)
}

// Expire says that the files which an ended job has made are no longer kept. The
// error is ErrNotEnded.
func (j Job) Expire(now time.Time) (Outcome, error) {
	if !j.State.Ended() {
		return Outcome{}, ErrNotEnded
	}
	if j.ArtifactsExpiredAt != nil {
		return Outcome{Job: j}, nil
	}
	j.ArtifactsExpiredAt = &now
	return j.tell(event.JobArtifactsExpired, Herald, now)
}

// Delete returns the event that tells of an ended job's removal, or ErrNotEnded.
func (j Job) Delete(actor string, now time.Time) (Outcome, error) {
	if !j.State.Ended() {
		return Outcome{}, ErrNotEnded
	}
	return j.tell(event.JobDeleted, actor, now)
}

// tell raises the version and attaches the event of the type.
func (j Job) tell(t event.Type, actor string, now time.Time) (Outcome, error) {
	j.Version++
	j.UpdatedAt = now
	j.Estimate = j.estimate()
	var data any = j
	switch t {
	case event.JobProgress, event.JobMessage:
		data = j.Moving()
	case event.JobDeleted:
		data = Deleted{j.ID, j.Version, j.Metadata}
	default:
	}
	pending, err := j.pending(t, actor, data, now)
	return Outcome{Job: j, Event: pending}, err
}

// Deleted is what is told of a job that is gone.
type Deleted struct {
	ID       uuid.UUID       `json:"id"`
	Version  int64           `json:"version"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// LateReport is what is told of a report that came too late.
type LateReport struct {
	ID       uuid.UUID       `json:"id"`
	Attempt  int             `json:"attempt"`            // the report's
	State    State           `json:"state"`              // the job's
	Reported State           `json:"reported,omitempty"` // the report's
	Progress *float64        `json:"progress,omitempty"`
	Step     string          `json:"step,omitempty"`
	Message  string          `json:"message,omitempty"`
	Error    string          `json:"error,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"` // the job's, as on all of its events
}

// late keeps a report that came too late. It goes to those who follow the job
// itself, not to its owner, to whom it would be noise. A late heartbeat is not
// worth an entry.
func (j Job) late(r Report, now time.Time) (Outcome, error) {
	if r.Heartbeat() {
		return Outcome{Job: j, Late: true}, nil
	}
	pending, err := j.pending(event.JobLateReport, Herald, LateReport{
		j.ID, r.Attempt, j.State, r.State, r.Progress, r.Step, r.Message, r.Error, j.Metadata,
	}, now)
	if err != nil {
		return Outcome{}, err
	}
	pending.Topics = []event.Topic{event.JobTopic(j.ID)}
	return Outcome{Job: j, Event: pending, Late: true}, nil
}

func (j Job) pending(t event.Type, actor string, data any, now time.Time) (*event.Pending, error) {
	// With HTML escaped, the limits on a job's texts and objects would not keep its events below event.MaxPayload.
	var payload bytes.Buffer
	encoder := json.NewEncoder(&payload)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(data); err != nil {
		return nil, fmt.Errorf("encode %s of job %s: %w", t, j.ID, err)
	}
	return &event.Pending{
		ID: uuid.Must(uuid.NewV7()), Type: t, Topics: j.Topics(), JobID: j.ID, JobVersion: j.Version,
		Actor: actor, CreatedAt: now, Payload: bytes.TrimSuffix(payload.Bytes(), []byte("\n")),
	}, nil
}
