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

// RecordCallback records a try to call back on the job's timeline, and completes
// what ends with it, in one transaction. Of a job that has been removed there is
// no timeline.
func (db *DB) RecordCallback(
	ctx context.Context, id uuid.UUID, c job.Callback, complete func(ctx context.Context, tx pgx.Tx) error,
) error {
	return db.recordTry(ctx, id, func(j job.Job, now time.Time) (*event.Pending, error) { return j.CalledBack(c, now) }, complete)
}

// RecordAbsence records a try to tell an absent user in the same way.
func (db *DB) RecordAbsence(
	ctx context.Context, id uuid.UUID, a job.Absence, complete func(ctx context.Context, tx pgx.Tx) error,
) error {
	return db.recordTry(ctx, id, func(j job.Job, now time.Time) (*event.Pending, error) { return j.Absent(a, now) }, complete)
}

func (db *DB) recordTry(
	ctx context.Context, id uuid.UUID, tell func(j job.Job, now time.Time) (*event.Pending, error),
	complete func(ctx context.Context, tx pgx.Tx) error,
) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := dbsqlc.New(tx).JobGetForUpdate(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return complete(ctx, tx)
		}
		if err != nil {
			return fmt.Errorf("job %s: %w", id, err)
		}
		j, err := jobOf(row.Job)
		if err != nil {
			return err
		}
		p, err := tell(j, row.Now)
		if err == nil {
			err = p.Check()
		}
		if err == nil {
			err = insertPending(ctx, tx, p)
		}
		if err != nil {
			return err
		}
		return complete(ctx, tx)
	})
}

// Callbacks counts the callbacks that wait for their next try, and those that
// were given up and that the queue still has, up to a bound; oldest is how long
// the oldest of the first has waited.
func (db *DB) Callbacks(ctx context.Context) (waiting, givenUp int, oldest time.Duration, err error) {
	const most = 10_000
	row, err := db.queries().QueueCountCallbacks(ctx, most)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("count callbacks: %w", err)
	}
	return int(row.Waiting), int(row.GivenUp), time.Duration(row.OldestS * float64(time.Second)), nil
}
