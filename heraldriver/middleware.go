package heraldriver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"herald/internal/job"
	"herald/internal/progress"
)

// MiddlewareConfig is how reports are recorded. The zero MiddlewareConfig is fit
// for use.
type MiddlewareConfig struct {
	Schema    string        // of River's tables; default DefaultSchema
	Pace      time.Duration // least time between two records of one job; default 250 ms
	Heartbeat time.Duration // longest silence of a worker that has reported; default 5 s
	Log       *slog.Logger  // default none
}

// Middleware gives each worker of a client a Reporter. It is for the Middleware of
// a river.Config. A job whose worker does not report costs nothing.
type Middleware struct {
	river.MiddlewareDefaults

	db     DB
	mark   [2]byte // of the schema
	pacing progress.Config
	log    *slog.Logger
}

// NewMiddleware returns a Middleware that records in db, best a pool, whose role
// may execute herald.river_report.
func NewMiddleware(db DB, c MiddlewareConfig) *Middleware {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Middleware{
		db: db, mark: markOf(c.Schema), log: c.Log,
		pacing: progress.Config{Pace: c.Pace, Heartbeat: c.Heartbeat},
	}
}

// Work is called by River around each attempt of each job.
func (m *Middleware) Work(ctx context.Context, row *rivertype.JobRow, work func(context.Context) error) error {
	r := &Reporter{middleware: m, id: jobID(m.mark, row), run: runOf(row), number: row.Attempt}
	defer r.close(ctx) // also when the worker panics
	return work(context.WithValue(ctx, contextKey{}, r))
}

// attempt is what records the reports of the reporter's attempt.
func (m *Middleware) attempt(r *Reporter) *progress.Attempt {
	recorder := &recorder{db: m.db, run: r.run, log: m.log}
	return progress.New(recorder, m.pacing).Attempt(r.id, r.number)
}

// recorder records the reports of one attempt. It satisfies progress.Recorder.
type recorder struct {
	db   DB
	run  int64
	log  *slog.Logger
	away bool // the last report could not be recorded; reports come one at a time
}

// recordTime bounds one report, so that a job whose row somebody holds does not
// keep its worker from ending for long.
const recordTime = 3 * time.Second

// RecordReport records a report in a transaction of its own. One that is under way
// when the attempt ends is waited for, so that it is known whether it counts.
func (c *recorder) RecordReport(ctx context.Context, id uuid.UUID, r job.Report) (job.Outcome, error) {
	said, err := json.Marshal(saidOf(r, c.run, nil))
	if err != nil {
		return job.Outcome{}, fmt.Errorf("encode a report: %w", err)
	}
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	var reply []byte
	if err := c.db.QueryRow(try, `SELECT herald.river_report($1, $2, $3)`, id, c.run, said).Scan(&reply); err != nil {
		return job.Outcome{}, c.failed(ctx, id, err)
	}
	c.away = false
	var answer job.Answer
	if err := json.Unmarshal(reply, &answer); err != nil {
		return job.Outcome{}, fmt.Errorf("read the answer to a report: %w", err)
	}
	return answer.Outcome(), nil
}

// failed is the error as the rest of the program knows it. What may get better is
// tried again, and told of once.
func (c *recorder) failed(ctx context.Context, id uuid.UUID, err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code {
		case "ZH001":
			return &job.InvalidError{Field: refused.ColumnName, Reason: refused.Message}
		case "ZH002":
			return job.ErrNotFound
		}
	}
	if !c.away {
		c.log.WarnContext(ctx, "report not recorded yet", "job", id, "error", err)
	}
	c.away = true
	return err
}
