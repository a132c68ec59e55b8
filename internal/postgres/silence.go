package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/job"
	"herald/internal/postgres/dbsqlc"
)

// EndSilence lets the silence of workers have its consequences, by the database's
// clock, and returns how many jobs it changed: those of job.Job.Silent. A job that
// cannot be changed keeps no other one from it. Any number of nodes may call it at
// once.
func (db *DB) EndSilence(ctx context.Context, p job.Patience, queue Queue) (int, error) {
	changed := 0
	var after uuid.UUID
	var failed error
	for {
		silent, err := db.queries().JobListSilent(ctx, dbsqlc.JobListSilentParams{
			After: after, SilenceS: p.Silence.Seconds(), Spare: p.Spare, LeaseMs: p.Lease.Milliseconds(), CancelS: p.Cancel.Seconds(),
			PageSize: rescuePage,
		})
		if err != nil {
			return changed, fmt.Errorf("list silent jobs: %w", err)
		}
		for _, id := range silent {
			out, err := db.endSilence(ctx, id, p, queue)
			switch {
			case err == nil && out.Event != nil:
				changed++
			case err != nil && !errors.Is(err, job.ErrNotFound):
				failed = err
			}
			after = id
		}
		if len(silent) < rescuePage || ctx.Err() != nil {
			return changed, failed
		}
	}
}

// endSilence looks at one job. What was lost gets a new entry in the queue if one
// of our own workers had it, and the old entry ends.
func (db *DB) endSilence(ctx context.Context, id uuid.UUID, p job.Patience, queue Queue) (job.Outcome, error) {
	return db.changeJob(ctx, id, func(tx pgx.Tx, j job.Job, now time.Time) (job.Outcome, error) {
		out, err := j.Silent(p, now)
		if err != nil || j.QueueID == 0 || out.Job.State != job.Retrying {
			return out, err
		}
		if _, err := dbsqlc.New(tx).QueueAbandon(ctx, j.QueueID); err != nil {
			return out, fmt.Errorf("end entry %d of the queue: %w", j.QueueID, err)
		}
		return requeue(ctx, tx, out, queue)
	})
}
