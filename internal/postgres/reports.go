package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/job"
)

// RecordReport records what a worker reports. The outcome says whether the
// report came too late to change anything, or repeats an earlier one under its
// key. The error is job.ErrNotFound, a *job.InvalidError, a
// *job.TransitionError, or event.ErrKeyReused, and nothing was written then.
func (db *DB) RecordReport(ctx context.Context, id uuid.UUID, r job.Report) (job.Outcome, error) {
	return db.FinishJob(ctx, id, r, nothing)
}

// RecordReportTx is RecordReport in the caller's transaction, which holds the
// job's row until it ends, and is fit for use after one of those errors. What is
// above READ COMMITTED also gets Postgres' 40001 when somebody else has reported
// since its snapshot; it is then to be tried again as a whole.
func (db *DB) RecordReportTx(ctx context.Context, tx pgx.Tx, id uuid.UUID, r job.Report) (job.Outcome, error) {
	return db.reportTx(ctx, tx, id, r, nothing)
}

// FinishJob records a job's last report and completes its entry in the queue in
// one transaction. A report that comes too late or again completes nothing.
func (db *DB) FinishJob(
	ctx context.Context, id uuid.UUID, r job.Report, complete func(ctx context.Context, tx pgx.Tx) error,
) (job.Outcome, error) {
	var out job.Outcome
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		out, err = db.reportTx(ctx, tx, id, r, complete)
		return err
	})
	return out, err
}

func nothing(context.Context, pgx.Tx) error { return nil }

// reportTx records a report and completes what ends with it. What is wrong with
// the report by itself is found before the job's row is locked.
func (db *DB) reportTx(
	ctx context.Context, tx pgx.Tx, id uuid.UUID, r job.Report, complete func(ctx context.Context, tx pgx.Tx) error,
) (job.Outcome, error) {
	if err := r.Check(); err != nil {
		return job.Outcome{}, err
	}
	return changeJobTx(ctx, tx, id, func(tx pgx.Tx, j job.Job, now time.Time) (job.Outcome, error) {
		use := keyUse{scope: "job:" + id.String(), key: r.Key}
		if r.Key != "" {
			use.fingerprint = r.Fingerprint()
		}
		if first, err := keyAnswer(ctx, tx, use); first != nil || err != nil {
			return repeated(first, err)
		}
		out, err := j.Apply(r, now)
		if err != nil {
			return job.Outcome{}, err
		}
		if first, err := db.takeKey(ctx, tx, use, out.Answer()); first != nil || err != nil {
			return repeated(first, err)
		}
		if out.Late {
			return out, nil
		}
		return out, complete(ctx, tx)
	})
}

// repeated is the outcome of a report that was answered before.
func repeated(answer json.RawMessage, err error) (job.Outcome, error) {
	if err != nil {
		return job.Outcome{}, err
	}
	var first job.Answer
	if err := json.Unmarshal(answer, &first); err != nil {
		return job.Outcome{}, fmt.Errorf("read the first answer: %w", err)
	}
	return first.Outcome(), nil
}
