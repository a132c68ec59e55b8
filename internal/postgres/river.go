package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/job"
	"herald/internal/postgres/dbsqlc"
)

// cancelRiver asks the River that runs the job for its end; the trigger on its
// table records what comes of it. River's row is locked before the job's, as by
// River itself, so that the two never wait for each other. A job that River no
// longer has ends here.
func (db *DB) cancelRiver(ctx context.Context, j job.Job, actor string, queue Queue) (job.Job, error) {
	if _, err := j.Cancel(actor, j.UpdatedAt); err != nil {
		return job.Job{}, err
	}
	asked, err := db.askRiver(ctx, j, actor, queue.CancelRiverTx)
	if errors.Is(err, job.ErrLeftQueue) {
		out, err := db.changeJob(ctx, j.ID, func(_ pgx.Tx, j job.Job, now time.Time) (job.Outcome, error) {
			if j.State.Working() {
				return j.Apply(job.Report{Attempt: j.Attempt, State: job.Cancelled}, now)
			}
			return j.Cancel(actor, now)
		})
		return out.Job, err
	}
	if err == nil && asked.State != job.Cancelling && asked.State != job.Cancelled {
		return job.Job{}, &job.TransitionError{From: asked.State, To: job.Cancelled}
	}
	return asked, err
}

// retryRiver asks the River that runs the job for another attempt.
func (db *DB) retryRiver(ctx context.Context, j job.Job, actor string, queue Queue) (job.Job, error) {
	if _, err := j.Requeue(actor, job.DefaultAttempts, j.UpdatedAt); err != nil {
		return job.Job{}, err
	}
	return db.askRiver(ctx, j, actor, queue.RetryRiverTx)
}

// askRiver asks in the actor's name, and returns the job as it stands then.
func (db *DB) askRiver(
	ctx context.Context, j job.Job, actor string, ask func(context.Context, pgx.Tx, job.River) error,
) (job.Job, error) {
	var asked job.Job
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		if err := q.ActorSet(ctx, actor); err != nil {
			return fmt.Errorf("say who asks: %w", err)
		}
		if err := ask(ctx, tx, j.River); err != nil {
			return err
		}
		row, err := q.JobGet(ctx, j.ID)
		if err != nil {
			return fmt.Errorf("job %s: %w", j.ID, notFound(err, job.ErrNotFound))
		}
		asked, err = jobOf(row.Job)
		return err
	})
	return asked, err
}

// healPage is how many jobs are healed at once: their rows stay locked until all
// are.
const healPage = 100

// HealRiver records changes of Rivers' jobs that a trigger could not record, and
// returns of how many jobs. What fails again is tried again, ever more rarely.
func (db *DB) HealRiver(ctx context.Context) (int, error) {
	row, err := db.queries().RiverHeal(ctx, healPage)
	switch {
	case err != nil:
		return 0, fmt.Errorf("heal River's jobs: %w", err)
	case row.Failed != "":
		return int(row.Healed), fmt.Errorf("heal %s", row.Failed)
	}
	return int(row.Healed), nil
}
