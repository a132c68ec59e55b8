package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"herald/internal/ffmpeg"
	"herald/internal/job"
	"herald/internal/progress"
)

// attempts is River's worker: it runs one attempt of a job, of whatever kind.
// Herald counts attempts and decides when there is another one; River is told
// to bring the entry back then.
type attempts struct {
	river.WorkerDefaults[entry]

	pool *Pool
}

// lastWord bounds how long an attempt's end may take to be recorded.
const lastWord = 5 * time.Second

// Work runs one attempt.
func (w *attempts) Work(ctx context.Context, e *river.Job[entry]) error {
	p := w.pool
	j, err := p.Store.Job(ctx, e.Args.JobID)
	if err != nil {
		return later(err)
	}
	k, ok := p.kinds[j.Kind]
	if !ok {
		return river.JobCancel(fmt.Errorf("no worker here knows the kind %q", j.Kind))
	}
	plan, err := k.plan(j.Args)
	if err != nil {
		return river.JobCancel(err)
	}
	if j, err = p.Store.StartJob(ctx, j.ID, e.ID, p.Node, plan); err != nil {
		return later(err)
	}
	t := task{job: j, attempt: p.Reports.Attempt(j.ID, j.Attempt)}
	made, err := w.perform(ctx, k, &t)
	if err == nil {
		if err = w.succeed(ctx, e, t, made); err == nil {
			return nil
		}
	}
	w.discard(ctx, t)
	return w.fail(ctx, t, err)
}

// later tells River what to do with an entry whose job could not be started: to
// drop it if another one runs the job or nothing is left to run, else to bring
// it back.
func later(err error) error {
	const pause = 5 * time.Second
	var transition *job.TransitionError
	if errors.Is(err, job.ErrNotFound) || errors.Is(err, job.ErrSuperseded) || errors.As(err, &transition) {
		return river.JobCancel(err)
	}
	return river.JobSnooze(pause)
}

// perform does the work, while what it says is recorded. What ends the recording
// ends the work, and is the reason for its end.
func (w *attempts) perform(ctx context.Context, k kind, t *task) (made product, err error) {
	if t.folder, err = w.pool.makeFolder(t.job); err != nil {
		return product{}, fmt.Errorf("make a folder to work in: %w", err)
	}
	defer os.RemoveAll(t.folder) //nolint:errcheck // the pool's next start removes what is left
	working, stop := context.WithCancelCause(ctx)
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		if err := t.attempt.Run(working); err != nil {
			stop(err)
		}
	}()
	made, err = safely(working, k, *t)
	if cause := context.Cause(working); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	<-recorded
	return made, err
}

// panicError is what a kind's panic comes to.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("the worker panicked: %v", e.value) }

func safely(ctx context.Context, k kind, t task) (made product, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return k.work(ctx, t)
}

// succeed enters what was made, records the success, and completes the entry, in
// one transaction.
func (w *attempts) succeed(ctx context.Context, e *river.Job[entry], t task, made product) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	report := t.attempt.With(job.Report{State: job.Succeeded, Result: made.result})
	out, err := w.pool.Store.FinishJob(ctx, t.job.ID, report, func(ctx context.Context, tx pgx.Tx) error {
		for _, a := range made.artifacts {
			if err := w.pool.Store.SaveArtifactTx(ctx, tx, a); err != nil {
				return err
			}
		}
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, e)
		return err
	})
	if err == nil && out.Late {
		return progress.ErrOver
	}
	return err
}

// discard removes what an attempt that came to nothing has put into the blob
// store.
func (w *attempts) discard(ctx context.Context, t task) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	if err := removeAll(ctx, w.pool.Blobs, prefix(t.job)); err != nil {
		w.pool.Log.WarnContext(ctx, "blobs left behind", "prefix", prefix(t.job), "error", err)
	}
}

// fail records how an attempt ended that did not succeed, and tells River
// whether the entry is to come back.
func (w *attempts) fail(ctx context.Context, t task, err error) error {
	if errors.Is(err, progress.ErrOver) {
		return river.JobCancel(err)
	}
	report, again := verdict(ctx, t.job, err)
	w.log(ctx, t.job, report, err)
	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	if _, err := w.pool.Store.RecordReport(recording, t.job.ID, t.attempt.With(report)); err != nil {
		return later(err) // the next attempt begins by recording that this one was lost
	}
	if report.State != job.Retrying {
		return river.JobCancel(err)
	}
	return river.JobSnooze(again)
}

// verdict decides what an attempt's end means: its job is cancelled, goes back
// to the queue, gets another attempt after a while, or has failed.
func verdict(ctx context.Context, j job.Job, err error) (r job.Report, again time.Duration) {
	if errors.Is(err, progress.ErrCancelled) || errors.Is(err, river.ErrJobCancelledRemotely) {
		return job.Report{State: job.Cancelled}, 0
	}
	now := time.Now()
	if ctx.Err() != nil {
		return job.Report{
			State: job.Retrying, Error: "The worker is shutting down; the job goes back to the queue.", RetryAt: &now, Unblamed: true,
		}, 0
	}
	text := explain(err)
	if isPermanent(err) || j.Attempt >= j.MaxAttempts {
		return job.Report{State: job.Failed, Error: text}, 0
	}
	again = backoff(j.Attempt)
	at := now.Add(again)
	return job.Report{State: job.Retrying, Error: text, RetryAt: &at}, again
}

// backoff is the wait after the attempt with the number: 5 s, 20 s, 80 s and so
// on, up to ten minutes.
func backoff(attempt int) time.Duration {
	const first, longest, doublings = 5 * time.Second, 10 * time.Minute, 5
	return min(first<<(2*min(attempt-1, doublings)), longest)
}

// isPermanent reports whether another attempt would fail the same way.
func isPermanent(err error) bool {
	var invalid *job.InvalidError
	var panicked *panicError
	return errors.Is(err, ffmpeg.ErrNotMedia) || errors.Is(err, ffmpeg.ErrNoVideo) || errors.Is(err, ffmpeg.ErrNoAudio) ||
		errors.Is(err, errNoInput) || errors.As(err, &invalid) || errors.As(err, &panicked)
}

// explain says what went wrong in a sentence for people.
func explain(err error) string {
	var panicked *panicError
	switch {
	case errors.As(err, &panicked):
		return "The worker broke down on this job. This is a defect; its trace is in the worker's log."
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, ffmpeg.ErrDiskFull):
		return "The worker's disk is full. The job is tried again; somebody has to make room."
	}
	text := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\x00", "")
	if len(text) > job.MaxError {
		text = strings.ToValidUTF8(text[:job.MaxError-3], "") + "…"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func (w *attempts) log(ctx context.Context, j job.Job, r job.Report, err error) {
	log := w.pool.Log.With("job", j.ID, "kind", j.Kind, "attempt", j.Attempt)
	var panicked *panicError
	switch {
	case errors.As(err, &panicked):
		log.ErrorContext(ctx, "job panicked", "value", panicked.value, "stack", string(panicked.stack))
	case r.State == job.Failed:
		log.WarnContext(ctx, "job failed", "error", err)
	default:
		log.InfoContext(ctx, "attempt ended", "state", r.State, "error", err)
	}
}
