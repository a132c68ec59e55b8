package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"herald/internal/callback"
	"herald/internal/event"
	"herald/internal/job"
)

const (
	// errandQueue has what is no attempt of a job, so that neither waits for the
	// other. What a dead node was at there is put back by RescueJobs.
	errandQueue = "errands"
	// maxErrands is how many are run at once: most of their time is waiting for
	// receivers that are slow.
	maxErrands = 8
	// errandTime bounds one errand.
	errandTime = time.Minute
)

// addErrands adds the workers of what is no job's attempt, and returns what is
// done now and then. River's leader alone sees to that.
func (p *Pool) addErrands(workers *river.Workers) []*river.PeriodicJob {
	if p.Callbacks != nil {
		river.AddWorker(workers, &callbacks{pool: p})
	}
	river.AddWorker(workers, &absences{pool: p})
	if p.Create == nil {
		return nil
	}
	river.AddWorker(workers, &cleanupDue{pool: p})
	return []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(cleanupTick),
		func() (river.JobArgs, *river.InsertOpts) {
			return cleanupDueArgs{}, &river.InsertOpts{Queue: errandQueue, MaxAttempts: 1}
		},
		&river.PeriodicJobOpts{RunOnStart: true})}
}

// Callbacks sends messages: a callback.Sender.
type Callbacks interface {
	Send(ctx context.Context, m callback.Message) callback.Result
}

// callbackArgs is a message on its way. The trigger jobs_call_back makes it.
type callbackArgs struct {
	ID    string     `json:"id"`
	JobID uuid.UUID  `json:"job_id"`
	URL   string     `json:"url"`
	Told  event.Type `json:"told"`
	Body  string     `json:"body"` // a text, so that each try sends the same bytes
}

// Kind is River's name for it.
func (callbackArgs) Kind() string { return "callback" }

// callbacks sends callbacks. Each try is recorded on the job's timeline: a
// success together with the end of the errand, so a worker that is killed in
// between has it sent again, under the same id.
type callbacks struct {
	river.WorkerDefaults[callbackArgs]

	pool *Pool
}

// Timeout bounds one try, and its record.
func (*callbacks) Timeout(*river.Job[callbackArgs]) time.Duration { return errandTime }

// NextRetry is when a callback that did not get through is tried again.
func (c *callbacks) NextRetry(e *river.Job[callbackArgs]) time.Time {
	return time.Now().Add(c.pool.wait(e.Attempt))
}

// callbackWait is the wait after so many tries: 5 s, 20 s, 80 s and so on, up to
// six hours, and up to a tenth more, so that those that failed together do not
// come back together.
func callbackWait(tries int) time.Duration {
	const first, longest, doublings, spread = 5 * time.Second, 6 * time.Hour, 7, 10
	wait := min(first<<(2*min(tries-1, doublings)), longest)
	return wait + rand.N(wait/spread)
}

// Work makes one try.
func (c *callbacks) Work(ctx context.Context, e *river.Job[callbackArgs]) error {
	sent := c.pool.Callbacks.Send(ctx, callback.Message{ID: e.Args.ID, URL: e.Args.URL, Body: []byte(e.Args.Body)})
	if sent.Err != nil && c.pool.isStopping() { // nobody knows whether it got through: that is not the receiver's fault
		return river.JobSnooze(0)
	}
	try := c.try(e, sent)
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	err := c.pool.Store.RecordCallback(record, e.Args.JobID, try, func(ctx context.Context, tx pgx.Tx) error {
		if try.Outcome != job.Delivered {
			return nil
		}
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, e)
		return err
	})
	switch {
	case err != nil:
		return errors.Join(sent.Err, fmt.Errorf("record a callback: %w", err))
	case try.Outcome == job.GivenUp:
		c.pool.Log.WarnContext(ctx, "callback given up", "job", e.Args.JobID, "host", try.Host, "try", try.Try, "error", sent.Err)
		return river.JobCancel(sent.Err)
	}
	return sent.Err
}

// try is what the timeline says of the try.
func (c *callbacks) try(e *river.Job[callbackArgs], sent callback.Result) job.Callback {
	try := job.Callback{
		MessageID: e.Args.ID, Told: e.Args.Told, Host: host(e.Args.URL), Try: e.Attempt, Outcome: job.Delivered,
		Status: sent.Status, Duration: job.Millis(sent.Duration.Milliseconds()),
	}
	if sent.Err == nil {
		return try
	}
	const longest = 300
	try.Error = clip(sentence(sent.Err.Error()), longest)
	if sent.Final || e.Attempt >= e.MaxAttempts {
		try.Outcome = job.GivenUp
		return try
	}
	next := c.NextRetry(e)
	try.Outcome, try.NextAt = job.Again, &next
	return try
}

// host is where the URL leads, without what may be secret.
func host(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}
