// Package worker works jobs with River: the queue they wait in, the pool that
// takes them, and the kinds of job there are.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"herald/internal/job"
)

// entry is what an entry of River's queue says: which job is to be run. All
// else stands in the job's row.
type entry struct {
	JobID uuid.UUID `json:"job_id"`
	kind  string
}

// Kind is the job's kind, so that a worker takes only what it can do.
func (e entry) Kind() string { return e.kind }

// Queue is where jobs wait for their workers. It satisfies postgres.Queue.
type Queue struct {
	client *river.Client[pgx.Tx]
	kinds  []string // what can be enqueued
	other  func(schema string) (*river.Client[pgx.Tx], error)
}

// NewQueue returns a Queue over River's tables in the schema.
func NewQueue(pool *pgxpool.Pool, schema string, log *slog.Logger) (*Queue, error) {
	client := func(schema string) (*river.Client[pgx.Tx], error) {
		return river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: schema, Logger: quieter(log)})
	}
	ours, err := client(schema)
	if err != nil {
		return nil, fmt.Errorf("make the queue: %w", err)
	}
	return &Queue{client: ours, kinds: []string{VideoKind, ExportKind, CleanupKind}, other: client}, nil
}

// maxSnoozes stands in for River's limit of attempts. Herald counts attempts
// itself, and an entry that comes back to the queue is no failure to River.
const maxSnoozes = 10_000

// EnqueueTx makes an entry for the job's next attempt and returns its id. It
// returns a *job.InvalidError for a kind that nobody works.
func (q *Queue) EnqueueTx(ctx context.Context, tx pgx.Tx, j job.Job) (int64, error) {
	if !slices.Contains(q.kinds, j.Kind) {
		return 0, unknownKind(j.Kind)
	}
	result, err := q.client.InsertTx(ctx, tx, entry{JobID: j.ID, kind: j.Kind}, &river.InsertOpts{MaxAttempts: maxSnoozes})
	if err != nil {
		return 0, err
	}
	return result.Job.ID, nil
}

// CancelTx withdraws an entry, or tells the worker that has it to stop. An entry
// that is gone needs neither.
func (q *Queue) CancelTx(ctx context.Context, tx pgx.Tx, queueID int64) error {
	_, err := q.client.JobCancelTx(ctx, tx, queueID)
	if errors.Is(err, rivertype.ErrNotFound) {
		return nil
	}
	return err
}

// CancelRiverTx cancels a job of a River that is not Herald's own, or tells the
// worker that has it to stop. It returns job.ErrLeftQueue for one that is gone.
func (q *Queue) CancelRiverTx(ctx context.Context, tx pgx.Tx, entry job.River) error {
	client, err := q.other(entry.Schema)
	if err == nil {
		_, err = client.JobCancelTx(ctx, tx, entry.ID)
	}
	return riverError("cancel", entry, err)
}

// RetryRiverTx makes a job of a River that is not Herald's own available again.
// It returns job.ErrLeftQueue for one that is gone.
func (q *Queue) RetryRiverTx(ctx context.Context, tx pgx.Tx, entry job.River) error {
	client, err := q.other(entry.Schema)
	if err == nil {
		_, err = client.JobRetryTx(ctx, tx, entry.ID)
	}
	return riverError("retry", entry, err)
}

func riverError(what string, entry job.River, err error) error {
	if errors.Is(err, rivertype.ErrNotFound) {
		return job.ErrLeftQueue
	}
	if err != nil {
		return fmt.Errorf("%s job %d of River in schema %s: %w", what, entry.ID, entry.Schema, err)
	}
	return nil
}

// CheckArgs says what is wrong with the args of a new job of any kind but exports,
// for which there is PrepareExport, as a *job.InvalidError.
func CheckArgs(kind string, args json.RawMessage) error {
	if kind != VideoKind {
		return unknownKind(kind)
	}
	_, err := parseVideo(args)
	return err
}

func unknownKind(kind string) error {
	return &job.InvalidError{Field: "kind", Reason: fmt.Sprintf("%q is not a kind of job: want %q or %q", kind, VideoKind, ExportKind)}
}

// quieter makes River log what is wrong, and keep its daily life for debugging.
func quieter(log *slog.Logger) *slog.Logger { return slog.New(demoted{log.Handler()}) }

// demoted turns Info into Debug.
type demoted struct{ slog.Handler }

func (d demoted) Enabled(ctx context.Context, level slog.Level) bool {
	return d.Handler.Enabled(ctx, demote(level))
}

func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = demote(r.Level)
	return d.Handler.Handle(ctx, r)
}

func demote(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}
