package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/job"
	"herald/internal/postgres/dbsqlc"
)

// StartNode enters a node that begins to work jobs. What a node of the same
// name had in its hands before is thereby lost.
func (db *DB) StartNode(ctx context.Context, id string) error {
	return db.queries().NodeStart(ctx, id)
}

// BeatNode says that a node is alive. It reports whether the node is still
// entered.
func (db *DB) BeatNode(ctx context.Context, id string) (entered bool, err error) {
	n, err := db.queries().NodeBeat(ctx, id)
	return n > 0, err
}

// StopNode removes a node that has ended.
func (db *DB) StopNode(ctx context.Context, id string) error {
	return db.queries().NodeStop(ctx, id)
}

// rescuePage bounds how many jobs one RescueJobs takes up.
const rescuePage = 100

// RescueJobs takes jobs out of the hands of nodes that have been silent for
// longer than given, and returns how many there were. Each gets another
// attempt, or ends when it has none left or was to be cancelled. Any number of
// nodes may call it at once.
func (db *DB) RescueJobs(ctx context.Context, silence time.Duration, queue Queue) (int, error) {
	lost, err := db.queries().QueueListLost(ctx, dbsqlc.QueueListLostParams{SilenceS: silence.Seconds(), PageSize: rescuePage})
	if err != nil {
		return 0, fmt.Errorf("list lost jobs: %w", err)
	}
	for _, entry := range lost {
		if err := db.rescue(ctx, entry, queue); err != nil {
			return 0, fmt.Errorf("rescue entry %d of the queue: %w", entry.ID, err)
		}
	}
	return len(lost), nil
}

// errands is the queue of what is no job's attempt.
const errands = "errands"

func (db *DB) rescue(ctx context.Context, entry dbsqlc.QueueListLostRow, queue Queue) error {
	queueID := entry.ID
	if entry.Queue == errands {
		return db.queries().QueueReturn(ctx, queueID)
	}
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if entry.JobID == nil {
			_, err := dbsqlc.New(tx).QueueAbandon(ctx, queueID)
			return err
		}
		_, err := changeJobTx(ctx, tx, *entry.JobID, func(j job.Job, now time.Time) (job.Outcome, error) {
			abandoned, err := dbsqlc.New(tx).QueueAbandon(ctx, queueID)
			if err != nil || abandoned == 0 || j.QueueID != queueID {
				return job.Outcome{Job: j}, err
			}
			out, err := j.Lose(now)
			if err != nil || out.Job.State.Ended() {
				return out, err
			}
			return requeue(ctx, tx, out, queue)
		})
		return err
	})
}
