package job

import (
	"time"

	"herald/internal/event"
)

// The shortest and the longest time that a job may let its worker be silent.
const (
	MinLease = time.Second
	MaxLease = 7 * 24 * time.Hour
)

// Patience is how long workers are waited for. All fields are required.
type Patience struct {
	Silence time.Duration // without a promise, a worker is stalled after so long a silence
	Lease   time.Duration // and loses its attempt after so long a one, unless its job says otherwise
	Cancel  time.Duration // how long a worker has to answer that it was asked to stop
	// Spare leaves everybody their attempts, as after a time in which nobody could
	// be heard.
	Spare bool
}

// Silent returns what the silence of the job's worker has come to: nothing yet,
// that it is stalled, that it has lost its attempt, or that its job is cancelled
// without it. How an application's own River ends an attempt is left to that.
func (j Job) Silent(p Patience, now time.Time) (Outcome, error) {
	rivers := j.River != River{}
	switch {
	case !j.State.Working():
		return Outcome{Job: j}, nil
	case !rivers && j.State == Cancelling && j.CancelAskedAt != nil && !now.Before(j.CancelAskedAt.Add(p.Cancel)):
		return j.lost(Report{State: Cancelled, Error: "The worker did not answer the request to stop."}, now)
	case !rivers && !p.Spare && !now.Before(j.spokenUntil().Add(j.leaseOr(p.Lease))):
		return j.Lose(now)
	case j.HeartbeatAt != nil && !j.Stalled && !now.Before(j.expectedBy(p.Silence)):
		return j.Stall(now)
	}
	return Outcome{Job: j}, nil
}

// spokenUntil is the end of the time for which its worker has given word: its last
// report, or what that has promised.
func (j Job) spokenUntil() time.Time {
	var until time.Time
	if j.HeartbeatAt != nil {
		until = *j.HeartbeatAt
	}
	if j.NextDueAt != nil && j.NextDueAt.After(until) {
		until = *j.NextDueAt
	}
	return until
}

// expectedBy is when the worker's next word is due.
func (j Job) expectedBy(silence time.Duration) time.Time {
	if j.NextDueAt != nil {
		return *j.NextDueAt
	}
	return j.spokenUntil().Add(silence)
}

func (j Job) leaseOr(otherwise time.Duration) time.Duration {
	if j.Lease == nil {
		return otherwise
	}
	return time.Duration(*j.Lease) * time.Millisecond
}

// Lose ends the attempt of a worker that is gone without a word. A job that
// waits for a worker, or has ended, stays as it is.
func (j Job) Lose(now time.Time) (Outcome, error) {
	const why = "The worker was lost."
	switch {
	case !j.State.Working():
		return Outcome{Job: j}, nil
	case j.State == Cancelling:
		return j.lost(Report{State: Cancelled}, now)
	case j.Attempt >= j.MaxAttempts:
		return j.lost(Report{State: Failed, Error: why}, now)
	}
	return j.lost(Report{State: Retrying, Error: why, RetryAt: &now}, now)
}

// lost ends the attempt as the report says, which is not its worker's: that has
// not been heard of since its last heartbeat.
func (j Job) lost(r Report, now time.Time) (Outcome, error) {
	next := j
	next.Stalled, next.NextDueAt = false, nil
	next.end(r, now)
	return next.tell(j.eventType(next), Herald, now)
}

// Stall marks a running job whose worker has been silent for too long.
func (j Job) Stall(now time.Time) (Outcome, error) {
	if !j.State.Working() || j.Stalled {
		return Outcome{Job: j}, nil
	}
	j.Stalled = true
	return j.tell(event.JobStalled, Herald, now)
}
