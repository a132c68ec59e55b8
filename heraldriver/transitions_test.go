package heraldriver_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"herald/heraldriver"
	"herald/internal/job"
)

// Jobs that know nothing of Herald, whatever becomes of them.
func TestEveryChangeIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{Owner: "ops"})
	w := &actor{}
	client, ended, _ := b.client(w)

	ok := b.insert(client, nil)
	b.await(ended, ok.ID, rivertype.JobStateCompleted)
	b.wantStory(ok, "queued (ops)", "started (w1)", "succeeded (w1)")
	j := b.job(ok)
	type seen struct {
		Kind, Owner, Title, Worker string
		Args                       string
		State                      job.State
		Attempt, MaxAttempts       int
		Progress                   float64
	}
	if diff := cmp.Diff(seen{"do_it", "ops", "Do it", "w1", "{}", job.Succeeded, 1, 25, 1},
		seen{j.Kind, j.Owner, j.Title, j.Worker, string(j.Args), j.State, j.Attempt, j.MaxAttempts, j.Progress}); diff != "" {
		t.Errorf("job: -want +got:\n%s", diff)
	}

	retried := b.insert(client, nil, "fail", "panic")
	b.await(ended, retried.ID, rivertype.JobStateCompleted)
	b.wantStory(retried, "queued (ops)", "started (w1)", "retrying (w1)", "started (w1)", "retrying (w1)", "started (w1)", "succeeded (w1)")
	if j := b.job(retried); j.Attempt != 3 || j.MaxAttempts != 25 {
		t.Errorf("attempt %d of %d, want 3 of 25", j.Attempt, j.MaxAttempts)
	}

	snoozed := b.insert(client, nil, "snooze", "fail", "snooze")
	b.await(ended, snoozed.ID, rivertype.JobStateCompleted)
	b.wantStory(snoozed, "queued (ops)", "started (w1)", "retrying (w1)", "started (w1)", "retrying (w1)", "started (w1)", "retrying (w1)",
		"started (w1)", "succeeded (w1)")
	if j := b.job(snoozed); j.Attempt != 4 || j.MaxAttempts != 27 {
		t.Errorf("attempt %d of %d, want 4 of 27: a snooze is no failure", j.Attempt, j.MaxAttempts)
	}

	given := b.insert(client, nil, "cancel")
	b.await(ended, given.ID, rivertype.JobStateCancelled)
	b.wantStory(given, "queued (ops)", "started (w1)", "cancelled (w1)")
	if j := b.job(given); j.Error != "JobCancelError: no use" {
		t.Errorf("error %q", j.Error)
	}

	failed := b.insert(client, &river.InsertOpts{MaxAttempts: 1}, "fail")
	b.await(ended, failed.ID, rivertype.JobStateDiscarded)
	b.wantStory(failed, "queued (ops)", "started (w1)", "failed (w1)")
	if j := b.job(failed); j.Error != "attempt 1 broke" || j.FinishedAt == nil {
		t.Errorf("error %q, finished at %v", j.Error, j.FinishedAt)
	}
	_, err := client.JobRetry(t.Context(), failed.ID) // as River's UI does
	b.must(err)
	b.await(ended, failed.ID, rivertype.JobStateCompleted)
	b.wantStory(failed, "queued (ops)", "started (w1)", "failed (w1)", "queued (river)", "started (w1)", "succeeded (w1)")
	if j := b.job(failed); j.Attempt != 2 || j.MaxAttempts != 2 || j.Error != "" {
		t.Errorf("attempt %d of %d, error %q", j.Attempt, j.MaxAttempts, j.Error)
	}

	stopped := b.insert(client, nil, "wait")
	if id := <-w.started; id != stopped.ID {
		t.Fatalf("job %d waits, want %d", id, stopped.ID)
	}
	_, err = client.JobCancel(t.Context(), stopped.ID)
	b.must(err)
	b.await(ended, stopped.ID, rivertype.JobStateCancelled)
	b.wantStory(stopped, "queued (ops)", "started (w1)", "cancelling (river)", "cancelled (w1)")

	later := b.insert(client, &river.InsertOpts{ScheduledAt: time.Now().Add(time.Hour)})
	_, err = client.JobCancel(t.Context(), later.ID)
	b.must(err)
	b.wantStory(later, "queued (ops)", "cancelled (river)")

	removed := b.insert(client, &river.InsertOpts{ScheduledAt: time.Now().Add(time.Hour)})
	_, err = client.JobDelete(t.Context(), removed.ID)
	b.must(err)
	b.wantStory(removed, "queued (ops)", "cancelled (river)")
}

// A retry that is to come says when.
func TestARetryHasATime(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	row := b.insert(b.inserter(), nil)
	b.fetch()
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	b.setState(riverdriver.JobSetStateErrorRetryable(row.ID, at, []byte(`{"attempt":1,"error":"broke"}`), nil))
	j := b.job(row)
	if j.State != job.Retrying || j.RetryAt == nil || !j.RetryAt.Equal(at) || j.Error != "broke" {
		t.Errorf("job %s, retry at %v, error %q, want a retry at %v", j.State, j.RetryAt, j.Error, at)
	}
	b.wantStory(row, "queued (river)", "started (w1)", "retrying (w1)")
}

// River gives an attempt that a stopping client interrupts its number back. Herald
// does not, or the attempt after it could not be told from it.
func TestAnInterruptedAttemptIsAnAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	row := b.insert(b.inserter(), nil)
	b.fetch()
	b.setState(riverdriver.JobSetStateInterrupted(row.ID, time.Now(), 0, nil))
	if j := b.job(row); j.State != job.Retrying || j.Attempt != 1 || j.MaxAttempts != 26 {
		t.Errorf("%s, attempt %d of %d, want it retrying after 1 of 26", j.State, j.Attempt, j.MaxAttempts)
	}
	b.fetch()
	if j := b.job(row); j.State != job.Running || j.Attempt != 2 || j.MaxAttempts != 26 {
		t.Errorf("%s, attempt %d of %d, want 2 of 26 running", j.State, j.Attempt, j.MaxAttempts)
	}
	b.wantStory(row, "queued (river)", "started (w1)", "retrying (w1)", "started (w1)")
}

// A worker that River took for dead cannot say anything about its successor.
func TestAZombieIsLate(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	row := b.insert(b.inserter(), nil)
	zombie := b.fetch()[0]
	b.rescue(row.ID)
	if j := b.job(row); j.State != job.Retrying || j.Error != "stuck" {
		t.Errorf("%s, error %q after the rescue", j.State, j.Error)
	}
	b.fetch()
	m := heraldriver.NewMiddleware(b.pool, heraldriver.MiddlewareConfig{Schema: schema})
	b.must(m.Work(t.Context(), zombie, func(ctx context.Context) error {
		heraldriver.FromContext(ctx).Message("brains")
		b.awaitStory(row, 5) //nolint:contextcheck // it waits in the test's own
		heraldriver.FromContext(ctx).Progress(0.9)
		return nil
	}))
	// A report that takes too long is made again, so there may be two of the same.
	want := []string{"queued (river)", "started (w1)", "retrying (w1)", "started (w1)", "late_report (herald)"}
	if diff := cmp.Diff(want, slices.Compact(b.story(heraldriver.JobID(schema, row)))); diff != "" {
		t.Errorf("story: -want +got:\n%s", diff)
	}
	if j := b.job(row); j.Message != "" || j.Progress != 0 || j.State != job.Running || j.Attempt != 2 {
		t.Errorf("the zombie got through: %s, %q, %v", j.State, j.Message, j.Progress)
	}
}

// awaitStory waits until the job has so many events.
func (b *bench) awaitStory(row *rivertype.JobRow, events int) {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		var n int
		b.must(b.pool.QueryRow(b.Context(), `SELECT count(*) FROM herald.outbox WHERE job_id = $1`, heraldriver.JobID(schema, row)).Scan(&n))
		if n >= events {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%d events, want %d", n, events)
		}
		time.Sleep(time.Millisecond)
	}
}

// fetch takes all jobs that wait, as a client does.
func (b *bench) fetch() []*rivertype.JobRow {
	b.Helper()
	out, err := riverpgxv5.New(b.pool).GetExecutor().JobGetAvailable(b.Context(), &riverdriver.JobGetAvailableParams{
		ClientID: "w1", MaxAttemptedBy: 100, MaxToLock: 1000, Queue: river.QueueDefault, Schema: schema,
	})
	b.must(err)
	return out.Jobs
}

// setState ends attempts, as a client's completer does.
func (b *bench) setState(ends ...*riverdriver.JobSetStateIfRunningParams) {
	b.Helper()
	p := &riverdriver.JobSetStateIfRunningManyParams{Schema: schema}
	for _, e := range ends {
		p.ID, p.Attempt, p.ErrData = append(p.ID, e.ID), append(p.Attempt, e.Attempt), append(p.ErrData, e.ErrData)
		p.FinalizedAt, p.ScheduledAt = append(p.FinalizedAt, e.FinalizedAt), append(p.ScheduledAt, e.ScheduledAt)
		p.MetadataDoMerge, p.MetadataUpdates = append(p.MetadataDoMerge, e.MetadataDoMerge), append(p.MetadataUpdates, e.MetadataUpdates)
		p.State = append(p.State, e.State)
	}
	_, err := riverpgxv5.New(b.pool).GetExecutor().JobSetStateIfRunningMany(b.Context(), p)
	b.must(err)
}

// rescue takes a job out of the hands of its worker, as the rescuer does.
func (b *bench) rescue(id int64) {
	b.Helper()
	_, err := riverpgxv5.New(b.pool).GetExecutor().JobRescueMany(b.Context(), &riverdriver.JobRescueManyParams{
		ID: []int64{id}, Error: [][]byte{[]byte(`{"attempt":1,"error":"stuck"}`)}, FinalizedAt: []*time.Time{nil},
		ScheduledAt: []time.Time{time.Now()}, Schema: schema, State: []string{string(rivertype.JobStateRetryable)},
		StuckHorizon: time.Now().Add(time.Hour),
	})
	b.must(err)
	b.exec(`UPDATE shop.river_job SET state = 'available' WHERE id = $1`, id) // as the scheduler does
}

// What the caller's transaction does not commit never was.
func TestARollbackLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	client := b.inserter()
	insert := func(end func(pgx.Tx) error) *rivertype.JobRow {
		tx, err := b.pool.Begin(t.Context())
		b.must(err)
		out, err := heraldriver.InsertTx(t.Context(), client, tx, actArgs{}, nil, heraldriver.About{
			Owner: "alice", Title: "Her import", Watchers: []string{"channel:imports"}, Metadata: map[string]any{"tenant": "a"},
		})
		b.must(err)
		b.must(end(tx))
		return out.Job
	}
	gone := insert(func(tx pgx.Tx) error { return tx.Rollback(t.Context()) })
	if _, err := b.db.Job(t.Context(), heraldriver.JobID(schema, gone)); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("Job() = %v, want ErrNotFound", err)
	}
	if story := b.story(heraldriver.JobID(schema, gone)); story != nil {
		t.Errorf("events %v of a job that never was", story)
	}
	kept := insert(func(tx pgx.Tx) error { return tx.Commit(t.Context()) })
	b.wantStory(kept, "queued (alice)")
	j := b.job(kept)
	if j.Title != "Her import" || j.Owner != "alice" || len(j.Watchers) != 1 || string(j.Metadata) == "" {
		t.Errorf("job %+v", j)
	}
	for _, about := range []heraldriver.About{{Owner: "a b"}, {Watchers: []string{"x"}}, {Metadata: map[string]any{"a": []int{1}}}} {
		tx, err := b.pool.Begin(t.Context())
		b.must(err)
		if _, err := heraldriver.InsertTx(t.Context(), client, tx, actArgs{}, nil, about); err == nil {
			t.Errorf("InsertTx(%+v) = nil, want an error", about)
		}
		b.must(tx.Rollback(t.Context()))
	}
}
