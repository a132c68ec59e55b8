package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"herald/internal/artifact"
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

const (
	// lastWord bounds one try to record an attempt's end. Three fit into stopTime.
	lastWord = 3 * time.Second
	// successPatience is how long a database may be away before what an attempt
	// has made is given up.
	successPatience = 5 * time.Minute
	// removeTime bounds how long the removal of blobs may take.
	removeTime = 30 * time.Second
)

// Work runs one attempt.
func (w *attempts) Work(ctx context.Context, e *river.Job[entry]) error {
	p := w.pool
	j, err := p.Store.Job(ctx, e.Args.JobID)
	if err != nil {
		return later(err)
	}
	k := p.kinds[e.Kind]
	plan, unfit := k.plan(j.Args)
	if j, err = p.Store.StartJob(ctx, j.ID, e.ID, p.Node, plan); err != nil {
		return later(err)
	}
	t := task{job: j, attempt: p.Reports.Attempt(j.ID, j.Attempt)}
	if unfit != nil {
		return w.fail(ctx, t, unfit)
	}
	made, err := w.perform(ctx, k, &t)
	if err == nil {
		err = w.succeed(ctx, e, t, made)
	}
	if err == nil {
		return nil
	}
	return w.fail(ctx, t, err)
}

// later tells River what to do with an entry of which Herald's job does not
// know how it stands: to drop it if another one runs the job or nothing is left
// to run, else to bring it back. The attempt that begins then records that the
// one before was lost.
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
	if t.job.Attempt > 1 { // an attempt that was lost could not clear up
		w.remove(ctx, t.job, artifact.JobPrefix(t.job.ID))
	}
	if t.folder, err = w.pool.folder.make(t.job); err != nil {
		return product{}, fmt.Errorf("make a folder to work in: %w", err)
	}
	defer os.RemoveAll(t.folder) //nolint:errcheck // the next pool to start removes what is left
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
// one transaction. A job that somebody asks to cancel at the last moment
// succeeds.
func (w *attempts) succeed(ctx context.Context, e *river.Job[entry], t task, made product) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), successPatience)
	defer cancel()
	report := t.attempt.With(job.Report{State: job.Succeeded, Result: made.result})
	out, err := w.insist(ctx, func(ctx context.Context) (job.Outcome, error) {
		return w.pool.Store.FinishJob(ctx, t.job.ID, report, func(ctx context.Context, tx pgx.Tx) error {
			for _, a := range made.artifacts {
				if err := w.pool.Store.SaveArtifactTx(ctx, tx, a); err != nil {
					return err
				}
			}
			_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, e)
			return err
		})
	})
	if err == nil && out.Late && !t.succeeded(out.Job) {
		return progress.ErrOver
	}
	return err
}

// succeeded reports whether the job stands as the task's own success has left
// it. The answer to a commit can be lost while the commit is not.
func (t task) succeeded(j job.Job) bool {
	return j.State == job.Succeeded && j.Attempt == t.job.Attempt
}

// fail records how an attempt ended that did not succeed, removes what it has
// put into the blob store, and tells River whether the entry is to come back.
func (w *attempts) fail(ctx context.Context, t task, err error) error {
	if errors.Is(err, progress.ErrOver) {
		w.remove(ctx, t.job, prefix(t.job))
		return river.JobCancel(err)
	}
	report, again := w.pool.verdict(t.job, err)
	w.log(ctx, t.job, report, err)
	report = t.attempt.With(report)
	out, recordErr := w.insist(ctx, func(ctx context.Context) (job.Outcome, error) {
		return w.record(ctx, t, report)
	})
	switch {
	case recordErr == nil && t.succeeded(out.Job):
		return nil
	case recordErr != nil && !refused(recordErr):
		return later(recordErr) // what was made stays until it is known whether it counts
	}
	w.remove(ctx, t.job, prefix(t.job))
	switch {
	case recordErr != nil:
		return later(recordErr)
	case out.Late || out.Job.State != job.Retrying:
		return river.JobCancel(err)
	}
	return river.JobSnooze(again)
}

// record records the end of an attempt. A job that was to be cancelled in the
// meantime gets no other attempt.
func (w *attempts) record(ctx context.Context, t task, r job.Report) (job.Outcome, error) {
	out, err := w.pool.Store.RecordReport(ctx, t.job.ID, r)
	var transition *job.TransitionError
	if errors.As(err, &transition) && transition.From == job.Cancelling {
		return w.pool.Store.RecordReport(ctx, t.job.ID, job.Report{Attempt: r.Attempt, State: job.Cancelled})
	}
	return out, err
}

// insist tries to record an attempt's end, whatever has become of its context,
// until that is recorded or refused: a database that is away for a while is no
// reason to lose the work. It gives up when ctx's deadline has passed; a pool
// that stops has one try.
func (w *attempts) insist(
	ctx context.Context, record func(context.Context) (job.Outcome, error),
) (job.Outcome, error) {
	const first, longest = 100 * time.Millisecond, 5 * time.Second
	deadline, limited := ctx.Deadline()
	for wait := first; ; wait = min(2*wait, longest) {
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
		out, err := record(try)
		cancel()
		if err == nil || refused(err) || limited && time.Now().After(deadline) {
			return out, err
		}
		w.pool.Log.WarnContext(ctx, "end of attempt not recorded", "error", err)
		select {
		case <-w.pool.stopping:
			return out, err
		case <-time.After(wait):
		}
	}
}

// refused reports whether recording the same once more would be of no use.
func refused(err error) bool {
	var invalid *job.InvalidError
	var transition *job.TransitionError
	return errors.Is(err, job.ErrNotFound) || errors.As(err, &invalid) || errors.As(err, &transition)
}

// remove removes what stands below the prefix in the blob store.
func (w *attempts) remove(ctx context.Context, j job.Job, prefix string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
	defer cancel()
	if err := removeAll(ctx, w.pool.Blobs, prefix); err != nil {
		w.pool.Log.WarnContext(ctx, "blobs left behind", "job", j.ID, "prefix", prefix, "error", err)
	}
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
