package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres/dbsqlc"
)

// RecordReport records what a worker reports. The outcome says whether the
// report came too late to change anything, or repeats an earlier one under its
// key. The error is job.ErrNotFound, a *job.InvalidError, a
// *job.TransitionError, or event.ErrKeyReused, and nothing was written then.
func (db *DB) RecordReport(ctx context.Context, id uuid.UUID, r job.Report) (job.Outcome, error) {
	return db.recordReport(ctx, id, r, anybody)
}

// recordReport also asks, with the job's row locked, whether the report may be
// made; the error is the one of that.
func (db *DB) recordReport(ctx context.Context, id uuid.UUID, r job.Report, may func(job.Job) error) (job.Outcome, error) {
	var out job.Outcome
	err := db.inPipeline(ctx, func(tx *pipeline) error {
		var err error
		out, err = db.reportTx(ctx, tx, id, r, may, nothing)
		return err
	})
	return out, err
}

func anybody(job.Job) error { return nil }

// RecordReportTx is RecordReport in the caller's transaction, which holds the
// job's row until it ends, and is fit for use after one of those errors. What is
// above READ COMMITTED also gets Postgres' 40001 when somebody else has reported
// since its snapshot; it is then to be tried again as a whole.
func (db *DB) RecordReportTx(ctx context.Context, tx pgx.Tx, id uuid.UUID, r job.Report) (job.Outcome, error) {
	return db.reportTx(ctx, tx, id, r, anybody, nothing)
}

// FinishJob records a job's last report and completes its entry in the queue in
// one transaction. A report that comes too late or again completes nothing.
func (db *DB) FinishJob(
	ctx context.Context, id uuid.UUID, r job.Report, complete func(ctx context.Context, tx pgx.Tx) error,
) (job.Outcome, error) {
	var out job.Outcome
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		out, err = db.reportTx(ctx, tx, id, r, anybody, func() error { return complete(ctx, tx) })
		return err
	})
	return out, err
}

func nothing() error { return nil }

// reportTx records a report and completes what ends with it. What is wrong with
// the report by itself is found before the job's row is locked.
func (db *DB) reportTx(
	ctx context.Context, tx dbsqlc.DBTX, id uuid.UUID, r job.Report, may func(job.Job) error, complete func() error,
) (job.Outcome, error) {
	if err := r.Check(); err != nil {
		return job.Outcome{}, err
	}
	return changeJobTx(ctx, tx, id, func(j job.Job, now time.Time) (job.Outcome, error) {
		if err := may(j); err != nil {
			return job.Outcome{}, err
		}
		use := keyUse{scope: "job:" + id.String(), key: r.Key}
		if r.Key != "" {
			use.fingerprint = r.Fingerprint()
		}
		out, err := db.once(ctx, tx, use, func() (job.Outcome, error) { return j.Apply(r, now) })
		if err != nil || out.Repeated || out.Late {
			return out, err
		}
		return out, complete()
	})
}

// once decides what becomes of a job whose row is locked, unless the key has
// been seen: then the outcome is that of the first time.
func (db *DB) once(ctx context.Context, tx dbsqlc.DBTX, use keyUse, decide func() (job.Outcome, error)) (job.Outcome, error) {
	out, err := decide()
	if err != nil { // what was right the first time may be wrong now
		if first, failed := keyAnswer(ctx, tx, use); first != nil || failed != nil {
			return repeated(first, failed)
		}
		return job.Outcome{}, err
	}
	if first, err := db.takeKey(ctx, tx, use, out.Answer()); first != nil || err != nil {
		return repeated(first, err)
	}
	return out, nil
}

// RecordReports records what a worker reports, in its order: all of it or
// nothing, in one transaction. The key, if there is one, is that of the whole.
// The errors are those of RecordReport, and name the report that is refused, and
// the one of may, which is asked whether they may be made with the job's row
// locked, so it must not take long.
func (db *DB) RecordReports(
	ctx context.Context, id uuid.UUID, reports []job.Report, key string, may func(job.Job) error,
) ([]job.Outcome, error) {
	if len(reports) == 1 { // the same request as one made in SQL or in Go
		reports[0].Key = key
		out, err := db.recordReport(ctx, id, reports[0], may)
		return []job.Outcome{out}, err
	}
	if err := event.CheckKey(key); err != nil {
		return nil, err
	}
	for i, r := range reports {
		if err := r.Check(); err != nil {
			return nil, nth(i, len(reports), err)
		}
	}
	var outs []job.Outcome
	err := db.inPipeline(ctx, func(tx *pipeline) error {
		var err error
		outs, err = db.recordReportsTx(ctx, tx, id, reports, key, may)
		return err
	})
	return outs, err
}

func nth(i, all int, err error) error { return fmt.Errorf("report %d of %d: %w", i+1, all, err) }

// recordReportsTx locks the job's row before it looks the key up, so that
// requests with the same key take turns.
func (db *DB) recordReportsTx(
	ctx context.Context, tx *pipeline, id uuid.UUID, reports []job.Report, key string, may func(job.Job) error,
) ([]job.Outcome, error) {
	row, err := dbsqlc.New(tx).JobGetForUpdate(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", id, notFound(err, job.ErrNotFound))
	}
	j, err := jobOf(row.Job)
	if err != nil {
		return nil, err
	}
	if err := may(j); err != nil {
		return nil, err
	}
	use := keyUse{scope: "job:" + id.String(), key: key}
	if key != "" {
		use.fingerprint = job.FingerprintOf(reports)
	}
	if first, err := keyAnswer(ctx, tx, use); first != nil || err != nil {
		return allRepeated(first, err)
	}
	outs := make([]job.Outcome, len(reports))
	answers := make([]job.Answer, len(reports))
	for i, r := range reports {
		var err error
		if outs[i], err = db.reportTx(ctx, tx, id, r, anybody, nothing); err != nil {
			return nil, nth(i, len(reports), err)
		}
		answers[i] = outs[i].Answer()
	}
	_, err = db.takeKey(ctx, tx, use, answers)
	return outs, err
}

func allRepeated(answer json.RawMessage, err error) ([]job.Outcome, error) {
	if err != nil {
		return nil, err
	}
	var first []job.Answer
	if err := json.Unmarshal(answer, &first); err != nil {
		return nil, fmt.Errorf("read the first answers: %w", err)
	}
	outs := make([]job.Outcome, len(first))
	for i, a := range first {
		outs[i] = a.Outcome()
	}
	return outs, nil
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
