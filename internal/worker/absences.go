package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"herald/internal/absent"
	"herald/internal/callback"
	"herald/internal/job"
)

// Absences sends what absent users are told. What a pool has not, waits for one that
// has.
type Absences struct {
	URL     string    // where webhooks go
	Webhook Callbacks // nil: this pool sends none
	Mail    Mailer    // nil: likewise
}

// Mailer sends mails: a mailer.Mailer.
type Mailer interface {
	Send(ctx context.Context, m absent.Message) callback.Result
}

// absenceArgs is a message on its way.
type absenceArgs struct{ absent.Message }

// Kind is River's name for it.
func (absenceArgs) Kind() string { return "absence" }

// absences tells users who were absent. Each try is recorded on the job's timeline: a
// success together with the end of the errand, so a worker that is killed in between
// has it sent again, under the same id.
type absences struct {
	river.WorkerDefaults[absenceArgs]

	pool *Pool
}

// Timeout bounds one try, and its record.
func (*absences) Timeout(*river.Job[absenceArgs]) time.Duration { return errandTime }

// NextRetry is when a message that did not get through is tried again.
func (a *absences) NextRetry(e *river.Job[absenceArgs]) time.Time {
	return time.Now().Add(a.pool.wait(e.Attempt))
}

// elsewhere is how long a message waits for a pool that can send it.
const elsewhere = time.Minute

// Work makes one try, unless the user has come back meanwhile.
func (a *absences) Work(ctx context.Context, e *river.Job[absenceArgs]) error {
	send := a.sender(e.Args.Medium)
	if send == nil {
		return river.JobSnooze(elsewhere)
	}
	over, err := a.pool.Store.AbsenceOver(ctx, e.Args.Message)
	if err != nil {
		return err
	}
	var sent callback.Result
	if !over {
		sent = send(ctx, e.Args.Message)
	}
	if sent.Err != nil && a.pool.isStopping() { // nobody knows whether it got through: that is not the receiver's fault
		return river.JobSnooze(0)
	}
	try := a.try(e, sent)
	if over {
		try.Outcome = job.CameBack
	}
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	err = a.pool.Store.RecordAbsence(record, e.Args.JobID, try, func(ctx context.Context, tx pgx.Tx) error {
		if try.Outcome != job.Delivered && try.Outcome != job.CameBack {
			return nil
		}
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, e)
		return err
	})
	switch {
	case err != nil:
		return errors.Join(sent.Err, fmt.Errorf("record what an absent user was told: %w", err))
	case try.Outcome == job.GivenUp:
		a.pool.Log.WarnContext(ctx, "absent user not told", "job", e.Args.JobID, "medium", try.Medium, "try", try.Try, "error", sent.Err)
		return river.JobCancel(sent.Err)
	}
	return sent.Err
}

// sender is what sends messages of the medium; nil when this pool does not.
func (a *absences) sender(medium string) func(context.Context, absent.Message) callback.Result {
	by := a.pool.Absences
	switch {
	case medium == job.ByWebhook && by.Webhook != nil:
		return func(ctx context.Context, m absent.Message) callback.Result {
			return by.Webhook.Send(ctx, callback.Message{ID: m.ID, URL: by.URL, Body: []byte(m.Body)})
		}
	case medium == job.ByMail && by.Mail != nil:
		return by.Mail.Send
	}
	return nil
}

// try is what the timeline says of the try.
func (a *absences) try(e *river.Job[absenceArgs], sent callback.Result) job.Absence {
	try := job.Absence{
		MessageID: e.Args.ID, User: e.Args.User, Seq: e.Args.Seq, Told: e.Args.Told, Medium: e.Args.Medium, Try: e.Attempt,
		Outcome: job.Delivered, Status: sent.Status, Duration: job.Millis(sent.Duration.Milliseconds()),
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
	next := a.NextRetry(e)
	try.Outcome, try.NextAt = job.Again, &next
	return try
}
