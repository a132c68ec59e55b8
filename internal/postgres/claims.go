package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres/dbsqlc"
)

// ClaimNextJob begins the next attempt of the oldest job of the kinds that waits
// for a worker elsewhere, and returns the job and the attempt's number. For a key
// that was seen, it is the first one's job, as it stands now, and its number then.
// It returns job.ErrNoneWaits when none waits, which uses no key up.
func (db *DB) ClaimNextJob(ctx context.Context, kinds []string, c job.Claim) (job.Job, int, error) {
	if err := event.CheckKey(c.Key); err != nil {
		return job.Job{}, 0, err
	}
	use := keyUse{scope: "claim:" + c.By, key: c.Key, fingerprint: c.FingerprintOfNext(kinds)}
	var claimed job.Job
	var attempt int
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		out, err := db.claimNext(ctx, tx, kinds, c, use)
		if err != nil {
			return err
		}
		claimed, attempt = out.Job, out.Job.Attempt
		if out.Repeated {
			claimed, err = jobTx(ctx, tx, out.Job.ID)
		}
		return err
	})
	return claimed, attempt, err
}

func (db *DB) claimNext(ctx context.Context, tx pgx.Tx, kinds []string, c job.Claim, use keyUse) (job.Outcome, error) {
	if first, err := keyAnswer(ctx, tx, use); first != nil || err != nil {
		return repeated(first, err)
	}
	id, err := dbsqlc.New(tx).JobNext(ctx, kinds)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return job.Outcome{}, job.ErrNoneWaits
	case err != nil:
		return job.Outcome{}, fmt.Errorf("look for the next job: %w", err)
	}
	return changeJobTx(ctx, tx, id, func(j job.Job, now time.Time) (job.Outcome, error) {
		return db.once(ctx, tx, use, func() (job.Outcome, error) { return claim(ctx, tx, j, c, now) })
	})
}

func jobTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (job.Job, error) {
	row, err := dbsqlc.New(tx).JobGet(ctx, id)
	if err != nil {
		return job.Job{}, fmt.Errorf("job %s: %w", id, notFound(err, job.ErrNotFound))
	}
	return jobOf(row.Job)
}

// ClaimableJobs lists the jobs of the kinds that wait for a worker elsewhere and
// may begin now, oldest first, from after the given one on.
func (db *DB) ClaimableJobs(ctx context.Context, kinds []string, after uuid.UUID, limit int) ([]job.Job, error) {
	rows, err := db.queries().JobListClaimable(ctx, dbsqlc.JobListClaimableParams{Kinds: kinds, After: after, PageSize: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("list claimable jobs: %w", err)
	}
	return jobsOf(rows, func(row dbsqlc.JobListClaimableRow) dbsqlc.Job { return row.Job })
}

// CountClaimable counts such jobs of each kind, up to the bound.
func (db *DB) CountClaimable(ctx context.Context, kinds []string, bound int) (map[string]int, error) {
	rows, err := db.queries().JobCountClaimable(ctx, dbsqlc.JobCountClaimableParams{Kinds: kinds, Bound: int32(bound)})
	if err != nil {
		return nil, fmt.Errorf("count claimable jobs: %w", err)
	}
	counts := make(map[string]int, len(rows))
	for _, row := range rows {
		counts[row.Kind] = int(row.Jobs)
	}
	return counts, nil
}
