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

// Queue is where jobs wait for their workers. Its methods act in the
// transaction given.
type Queue interface {
	// EnqueueTx makes an entry for the job's next attempt and returns its id.
	EnqueueTx(ctx context.Context, tx pgx.Tx, j job.Job) (int64, error)
	// CancelTx withdraws an entry, or tells the worker that has it to stop.
	CancelTx(ctx context.Context, tx pgx.Tx, queueID int64) error
	// CancelRiverTx and RetryRiverTx ask a River that is not Herald's own. They
	// return job.ErrLeftQueue for a job that it no longer has.
	CancelRiverTx(ctx context.Context, tx pgx.Tx, entry job.River) error
	RetryRiverTx(ctx context.Context, tx pgx.Tx, entry job.River) error
}

// CreateJob makes a job, its first event and its entry in the queue.
func (db *DB) CreateJob(ctx context.Context, n job.New, queue Queue) (job.Job, error) {
	var made job.Job
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		made, err = db.CreateJobTx(ctx, tx, n, queue)
		return err
	})
	return made, err
}

// CreateJobTx is CreateJob in the caller's transaction.
func (db *DB) CreateJobTx(ctx context.Context, tx pgx.Tx, n job.New, queue Queue) (job.Job, error) {
	out, err := job.Create(n, time.Now().UTC().Truncate(time.Microsecond))
	if err != nil {
		return job.Job{}, err
	}
	if err := out.Event.Check(); err != nil {
		return job.Job{}, err
	}
	j := out.Job
	if first, err := db.takeKey(ctx, tx, createKey(n), createAnswer{j.ID}); first != nil || err != nil {
		return createdBefore(ctx, tx, first, err)
	}
	if !j.External {
		if j.QueueID, err = queue.EnqueueTx(ctx, tx, j); err != nil {
			return job.Job{}, fmt.Errorf("enqueue job %s: %w", j.ID, err)
		}
	}
	if err := dbsqlc.New(tx).JobInsert(ctx, dbsqlc.JobInsertParams{
		ID: j.ID, Kind: j.Kind, Owner: j.Owner, Title: j.Title, State: string(j.State), MaxAttempts: int32(j.MaxAttempts),
		Version: j.Version, Steps: []byte(`[]`), Args: j.Args, Metadata: j.Metadata, External: j.External,
		Watchers: texts(j.Watchers), QueueID: j.QueueID, CreatedBy: j.CreatedBy, CallbackUrl: j.CallbackURL,
		CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt,
		LeaseMs: (*int64)(j.Lease), Likeness: j.Likeness,
	}); err != nil {
		return job.Job{}, fmt.Errorf("insert job %s: %w", j.ID, err)
	}
	if err := insertPending(ctx, tx, out.Event); err != nil || n.Begin == nil {
		return j, err
	}
	began, err := changeJobTx(ctx, tx, j.ID, func(j job.Job, now time.Time) (job.Outcome, error) {
		if now.Before(j.CreatedAt) { // the transaction began before its job was made
			now = j.CreatedAt
		}
		return claim(ctx, tx, j, *n.Begin, now)
	})
	return began.Job, err
}

// createAnswer is what is kept under the key of a new job.
type createAnswer struct {
	JobID uuid.UUID `json:"job_id"`
}

func createKey(n job.New) keyUse {
	use := keyUse{scope: "create:" + n.CreatedBy, key: n.Key}
	if n.Key != "" {
		use.fingerprint = n.Fingerprint()
	}
	return use
}

// createdBefore returns the job that was made under the key, as it stands now.
func createdBefore(ctx context.Context, tx pgx.Tx, answer json.RawMessage, err error) (job.Job, error) {
	if err != nil {
		return job.Job{}, err
	}
	var first createAnswer
	if err := json.Unmarshal(answer, &first); err != nil {
		return job.Job{}, fmt.Errorf("read the first answer: %w", err)
	}
	return jobTx(ctx, tx, first.JobID)
}

// ClaimJob begins the next attempt of a job that runs elsewhere; for a key that
// was seen, the outcome is the first one's. It returns job.ErrNotExternal, or a
// *job.TransitionError when the job is not waiting for a worker.
func (db *DB) ClaimJob(ctx context.Context, id uuid.UUID, c job.Claim) (job.Outcome, error) {
	if err := event.CheckKey(c.Key); err != nil {
		return job.Outcome{}, err
	}
	use := keyUse{scope: "job:" + id.String(), key: c.Key, fingerprint: c.Fingerprint()}
	return db.changeJob(ctx, id, func(tx pgx.Tx, j job.Job, now time.Time) (job.Outcome, error) {
		return db.once(ctx, tx, use, func() (job.Outcome, error) { return claim(ctx, tx, j, c, now) })
	})
}

// claim begins an attempt of a job that runs elsewhere.
func claim(ctx context.Context, tx pgx.Tx, j job.Job, c job.Claim, now time.Time) (job.Outcome, error) {
	var err error
	if j.Usual, err = usual(ctx, tx, j); err != nil {
		return job.Outcome{}, err
	}
	return j.Claim(c, now)
}

// usual is how long jobs like it took lately; nil when there were too few to say.
func usual(ctx context.Context, tx pgx.Tx, j job.Job) (*job.Usual, error) {
	const last, few = 50, 5
	row, err := dbsqlc.New(tx).JobUsual(ctx, dbsqlc.JobUsualParams{Kind: j.Kind, Likeness: j.Likeness, Last: last})
	if err != nil {
		return nil, fmt.Errorf("read how long jobs like %s took: %w", j.ID, err)
	}
	if row.Jobs < few {
		return nil, nil //nolint:nilnil // nothing is usual
	}
	return usualOf(row.UsualMs), nil
}

func usualOf(ms []float64) *job.Usual {
	if ms == nil {
		return nil
	}
	return new(job.Usual(ms))
}

// StartJob begins the job's next attempt for the worker that holds the entry of
// the queue. An attempt that the same entry began before is thereby lost. It
// returns job.ErrSuperseded when another entry is to run the job, and a
// *job.TransitionError when it is not waiting for a worker.
func (db *DB) StartJob(ctx context.Context, id uuid.UUID, queueID int64, worker string, plan []job.Step) (job.Job, error) {
	var started job.Job
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		lost, err := changeJobTx(ctx, tx, id, func(j job.Job, now time.Time) (job.Outcome, error) {
			if j.QueueID != queueID {
				return job.Outcome{}, job.ErrSuperseded
			}
			return j.Lose(now)
		})
		if err != nil {
			return err
		}
		if started = lost.Job; started.State.Ended() {
			return nil
		}
		out, err := changeJobTx(ctx, tx, id, func(j job.Job, now time.Time) (job.Outcome, error) {
			if j.Usual, err = usual(ctx, tx, j); err != nil {
				return job.Outcome{}, err
			}
			return j.Start(worker, plan, now)
		})
		started = out.Job
		return err
	})
	if err == nil && started.State.Ended() {
		err = &job.TransitionError{From: started.State, To: job.Running}
	}
	return started, err
}

// CancelJob asks for a job's end on behalf of the actor. It returns a
// *job.TransitionError for a job that has ended otherwise.
func (db *DB) CancelJob(ctx context.Context, id uuid.UUID, actor string, queue Queue) (job.Job, error) {
	j, err := db.Job(ctx, id)
	if err != nil {
		return job.Job{}, err
	}
	if j.River != (job.River{}) {
		return db.cancelRiver(ctx, j, actor, queue)
	}
	out, err := db.changeJob(ctx, id, func(tx pgx.Tx, j job.Job, now time.Time) (job.Outcome, error) {
		out, err := j.Cancel(actor, now)
		if err != nil || out.Event == nil || j.QueueID == 0 {
			return out, err
		}
		return out, queue.CancelTx(ctx, tx, j.QueueID)
	})
	return out.Job, err
}

// RetryJob gives a failed or cancelled job another life, of as many attempts as
// it had at first.
func (db *DB) RetryJob(ctx context.Context, id uuid.UUID, actor string, queue Queue) (job.Job, error) {
	j, err := db.Job(ctx, id)
	if err != nil {
		return job.Job{}, err
	}
	if j.River != (job.River{}) {
		return db.retryRiver(ctx, j, actor, queue)
	}
	out, err := db.changeJob(ctx, id, func(tx pgx.Tx, j job.Job, now time.Time) (job.Outcome, error) {
		out, err := j.Requeue(actor, job.DefaultAttempts, now)
		if err != nil || j.External {
			return out, err
		}
		return requeue(ctx, tx, out, queue)
	})
	return out.Job, err
}

// requeue makes a new entry in the queue for the job of the outcome.
func requeue(ctx context.Context, tx pgx.Tx, out job.Outcome, queue Queue) (job.Outcome, error) {
	id, err := queue.EnqueueTx(ctx, tx, out.Job)
	if err != nil {
		return out, fmt.Errorf("enqueue job %s: %w", out.Job.ID, err)
	}
	out.Job.QueueID = id
	return out, nil
}

// DeleteJob removes an ended job. It returns job.ErrNotEnded for another one.
// The job's events stay in the log.
func (db *DB) DeleteJob(ctx context.Context, id uuid.UUID, actor string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := changeJobTx(ctx, tx, id, func(j job.Job, now time.Time) (job.Outcome, error) {
			return j.Delete(actor, now)
		}); err != nil {
			return err
		}
		return dbsqlc.New(tx).JobDelete(ctx, id)
	})
}

// changeJob is changeJobTx in a transaction of its own.
func (db *DB) changeJob(
	ctx context.Context, id uuid.UUID, change func(tx pgx.Tx, j job.Job, now time.Time) (job.Outcome, error),
) (job.Outcome, error) {
	var out job.Outcome
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		out, err = changeJobTx(ctx, tx, id, func(j job.Job, now time.Time) (job.Outcome, error) { return change(tx, j, now) })
		return err
	})
	return out, err
}

// changeJobTx is the one way in which a job changes: lock its row, decide,
// write the row, then the outbox. A repeat has been written before.
func changeJobTx(
	ctx context.Context, tx dbsqlc.DBTX, id uuid.UUID, change func(j job.Job, now time.Time) (job.Outcome, error),
) (job.Outcome, error) {
	row, err := dbsqlc.New(tx).JobGetForUpdate(ctx, id)
	if err != nil {
		return job.Outcome{}, fmt.Errorf("job %s: %w", id, notFound(err, job.ErrNotFound))
	}
	j, err := jobOf(row.Job)
	if err != nil {
		return job.Outcome{}, err
	}
	out, err := change(j, row.Now)
	if err != nil || out.Repeated {
		return out, err
	}
	if out.Event != nil {
		if err := out.Event.Check(); err != nil { // before the row is written, so that the caller's transaction is as it was
			return job.Outcome{}, err
		}
	}
	if !out.Late {
		if err := updateJob(ctx, dbsqlc.New(later(tx)), out.Job); err != nil {
			return job.Outcome{}, err
		}
	}
	return out, insertPending(ctx, tx, out.Event)
}

func updateJob(ctx context.Context, q *dbsqlc.Queries, j job.Job) error {
	steps, err := json.Marshal(j.Steps)
	if err != nil {
		return fmt.Errorf("encode the steps of job %s: %w", j.ID, err)
	}
	if err := q.JobUpdate(ctx, dbsqlc.JobUpdateParams{
		ID: j.ID, State: string(j.State), Stalled: j.Stalled, Attempt: int32(j.Attempt), MaxAttempts: int32(j.MaxAttempts),
		Version: j.Version, Progress: j.Progress, Step: j.Step, Steps: steps, Processed: j.Processed, Total: j.Total,
		Unit: j.Unit, Message: j.Message, RemainingMs: (*int64)(j.Remaining), Details: j.Details, Error: j.Error,
		RetryAt: j.RetryAt, Result: j.Result, Metadata: j.Metadata, QueueID: j.QueueID, Worker: j.Worker,
		ClaimedBy: j.ClaimedBy, StartedAt: j.StartedAt,
		HeartbeatAt: j.HeartbeatAt, UpdatedAt: j.UpdatedAt, FinishedAt: j.FinishedAt, ArtifactsExpiredAt: j.ArtifactsExpiredAt,
		NextDueAt: j.NextDueAt, CancelAskedAt: j.CancelAskedAt, AttemptStartedAt: j.AttemptStartedAt, Pace: j.Pace[:],
		UsualMs: usualMillis(j.Usual),
	}); err != nil {
		return fmt.Errorf("update job %s: %w", j.ID, err)
	}
	return nil
}

func usualMillis(u *job.Usual) []float64 {
	if u == nil {
		return nil
	}
	return u[:]
}

// insertPending puts the event, which has been checked, into the outbox; nil is
// no event.
func insertPending(ctx context.Context, tx dbsqlc.DBTX, p *event.Pending) error {
	if p == nil {
		return nil
	}
	params := dbsqlc.OutboxInsertParams{
		EventID: p.ID, Type: string(p.Type), Topics: texts(p.Topics), JobVersion: p.JobVersion, Actor: p.Actor,
		CreatedAt: p.CreatedAt, Payload: p.Payload,
	}
	if p.JobID != uuid.Nil {
		params.JobID = &p.JobID
	}
	if err := dbsqlc.New(later(tx)).OutboxInsert(ctx, params); err != nil {
		return fmt.Errorf("insert event %s: %w", p.Type, err)
	}
	return nil
}

// jobOf reads a row.
func jobOf(row dbsqlc.Job) (job.Job, error) {
	j := job.Job{
		ID: row.ID, Kind: row.Kind, Owner: row.Owner, Title: row.Title, State: job.State(row.State), Stalled: row.Stalled,
		Attempt: int(row.Attempt), MaxAttempts: int(row.MaxAttempts), Version: row.Version, Progress: row.Progress,
		Step: row.Step, Processed: row.Processed, Total: row.Total, Unit: row.Unit, Message: row.Message,
		Remaining: (*job.Millis)(row.RemainingMs), Details: row.Details, Error: row.Error, RetryAt: row.RetryAt,
		Result: row.Result, Args: row.Args, Metadata: row.Metadata, External: row.External, Watchers: topics(row.Watchers), QueueID: row.QueueID, Worker: row.Worker,
		CreatedBy: row.CreatedBy, ClaimedBy: row.ClaimedBy, CreatedAt: row.CreatedAt, StartedAt: row.StartedAt, HeartbeatAt: row.HeartbeatAt, UpdatedAt: row.UpdatedAt,
		River: job.River{Schema: row.RiverSchema, ID: row.RiverID}, FinishedAt: row.FinishedAt, ArtifactsExpiredAt: row.ArtifactsExpiredAt, CallbackURL: row.CallbackUrl,
		Lease: (*job.Millis)(row.LeaseMs), NextDueAt: row.NextDueAt, CancelAskedAt: row.CancelAskedAt,
		AttemptStartedAt: row.AttemptStartedAt, Pace: job.Pace(row.Pace), Likeness: row.Likeness, Usual: usualOf(row.UsualMs),
	}
	if err := json.Unmarshal(row.Steps, &j.Steps); err != nil {
		return job.Job{}, fmt.Errorf("read the steps of job %s: %w", row.ID, err)
	}
	return j.Estimated(), nil
}

// texts and topics translate between topics and an array of text.
func texts[T ~string](list []T) []string { return asTexts[string](list) }

func topics(texts []string) []event.Topic { return asTexts[event.Topic](texts) }

// asTexts are the same texts by another type.
func asTexts[To, From ~string](from []From) []To {
	list := make([]To, len(from))
	for i, text := range from {
		list[i] = To(text)
	}
	return list
}
