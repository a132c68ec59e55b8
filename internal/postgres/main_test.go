package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// open returns a fresh database.
func open(t *testing.T) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), pgtest.New(t), postgres.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// queue stands in for River: it makes rows in its table, and remembers what was
// cancelled.
type queue struct{ cancelled []int64 }

func (q *queue) EnqueueTx(ctx context.Context, tx pgx.Tx, j job.Job) (int64, error) {
	var id int64
	err := tx.QueryRow(ctx, `INSERT INTO herald_queue.river_job (state, kind, args, max_attempts, queue, priority)
		VALUES ('available', $1, '{}', 3, 'default', 1) RETURNING id`, j.Kind).Scan(&id)
	return id, err
}

func (q *queue) CancelTx(_ context.Context, _ pgx.Tx, id int64) error {
	q.cancelled = append(q.cancelled, id)
	return nil
}

func (q *queue) CancelRiverTx(context.Context, pgx.Tx, job.River) error { return job.ErrLeftQueue }

func (q *queue) RetryRiverTx(context.Context, pgx.Tx, job.River) error { return job.ErrLeftQueue }

// take puts an entry of the queue into a worker's hands, as River does.
func take(t *testing.T, db *postgres.DB, id int64, node string) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), `UPDATE herald_queue.river_job
		SET state = 'running', attempt = attempt + 1, attempted_at = now(), attempted_by = array_append(attempted_by, $2)
		WHERE id = $1`, id, node); err != nil {
		t.Fatal(err)
	}
}

// create makes a job of demo's.
func create(t *testing.T, db *postgres.DB, q postgres.Queue) job.Job {
	t.Helper()
	j, err := db.CreateJob(t.Context(), job.New{Kind: "test", Owner: "demo", Title: "a test"}, q)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// started makes a job and starts its first attempt.
func started(t *testing.T, db *postgres.DB, q postgres.Queue, node string) job.Job {
	t.Helper()
	j := create(t, db, q)
	take(t, db, j.QueueID, node)
	j, err := db.StartJob(t.Context(), j.ID, j.QueueID, node, nil)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
