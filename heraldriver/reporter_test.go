package heraldriver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"herald/heraldriver"
	"herald/internal/job"
	"herald/internal/worker"
	"herald/migrations"
)

// What a worker says is paced, and its last word comes with the end of the
// attempt, whatever that is.
func TestAWorkerReports(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	w := &actor{}
	w.own = func(ctx context.Context, j *river.Job[actArgs]) error {
		r := heraldriver.FromContext(ctx)
		if r.JobID() != heraldriver.JobID(schema, j.JobRow) {
			return errors.New("another job's reporter")
		}
		r.Step("read\x00\xff" + strings.Repeat("x", 100))
		for i := range int64(100_000) {
			r.Count(i+1, 100_000, "rows")
		}
		r.Message("done, nearly")
		if err := r.Metadata(map[string]any{"tenant": "a"}); err != nil {
			return err
		}
		if r.Metadata(map[string]any{"a": []int{1}}) == nil || r.Result([]int{1}) == nil || r.Result(map[string]any{"x": strings.Repeat("x", 17<<10)}) == nil {
			return errors.New("what Herald refuses was taken")
		}
		if err := r.Result(map[string]any{"rows": 100_000}); err != nil || len(j.AttemptedBy) > 1 {
			return err
		}
		return errors.New("once more")
	}
	client, ended, _ := b.client(w)
	began := time.Now()
	row := b.insert(client, nil, "own", "own")
	b.await(ended, row.ID, rivertype.JobStateCompleted)
	j := b.job(row)
	if j.State != job.Succeeded || j.Attempt != 2 || *j.Processed != 100_000 || *j.Total != 100_000 || j.Unit != "rows" ||
		j.Message != "done, nearly" || !strings.HasPrefix(j.Step, "read") || string(plain(j).Metadata) != `{"tenant":"a"}` ||
		string(plain(j).Result) != `{"rows":100000}` {
		t.Errorf("job %+v, result %s", j, j.Result)
	}
	story := b.story(j.ID)
	said := len(slices.DeleteFunc(slices.Clone(story), func(s string) bool {
		return strings.HasPrefix(s, "queued") || strings.HasPrefix(s, "started") || strings.HasPrefix(s, "retrying") || strings.HasPrefix(s, "succeeded")
	}))
	if most := 6 + int(time.Since(began)/(250*time.Millisecond)); said > most || len(story)-said != 5 || slices.Contains(story, "late_report (herald)") {
		t.Errorf("%d reports recorded, want at most %d: %v", said, most, story)
	}
}

// Nothing that a nil Reporter is told matters.
func TestWithoutTheMiddleware(t *testing.T) {
	t.Parallel()
	r := heraldriver.FromContext(t.Context())
	r.Step("a")
	r.Progress(0.5)
	r.Count(1, 2, "rows")
	r.Message("a")
	if err := errors.Join(r.Metadata(nil), r.Result(func() {})); err != nil || r.JobID().Version() != 0 {
		t.Errorf("%v from a nil Reporter", err)
	}
}

// The end of a job and all that its worker has said are one transaction with the
// worker's own work, or none of it is.
func TestCompleteTx(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	b.exec("CREATE TABLE rows (n int)")
	w := &actor{}
	w.own = func(ctx context.Context, j *river.Job[actArgs]) error {
		tx, err := b.pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after the commit, it does nothing
		r := heraldriver.FromContext(ctx)
		r.Count(7, 10, "rows")
		if err := r.Result(map[string]any{"rows": len(j.AttemptedBy)}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO rows VALUES ($1)", len(j.AttemptedBy)); err != nil {
			return err
		}
		if _, err := heraldriver.CompleteTx(ctx, tx, j); err != nil {
			return err
		}
		if len(j.AttemptedBy) == 1 {
			return errors.New("rolled back")
		}
		return tx.Commit(ctx)
	}
	client, ended, _ := b.client(w)
	row := b.insert(client, nil, "own", "own")
	b.await(ended, row.ID, rivertype.JobStateCompleted)
	var n, together int
	b.must(b.pool.QueryRow(t.Context(), `SELECT n, (SELECT count(*) FROM herald.outbox o WHERE o.type = 'job.succeeded' AND o.xid::text = r.xmin::text) FROM rows r`).Scan(&n, &together))
	j := b.job(row)
	if n != 2 || together != 1 || string(plain(j).Result) != `{"rows":2}` || *j.Processed != 7 || j.State != job.Succeeded {
		t.Errorf("row %d, %d successes with it; job %s with result %s", n, together, j.State, j.Result)
	}
	if story := b.story(j.ID); slices.Contains(story, "late_report (herald)") {
		t.Errorf("story %v", story)
	}
}

// Herald's API asks the River that runs the job.
func TestCancelAndRetryInHerald(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	queue, err := worker.NewQueue(b.pool, migrations.QueueSchema, slog.New(slog.DiscardHandler))
	b.must(err)
	w := &actor{}
	client, ended, _ := b.client(w)

	running := b.insert(client, nil, "wait")
	<-w.started
	id := heraldriver.JobID(schema, running)
	j, err := b.db.CancelJob(t.Context(), id, "alice", queue)
	if err != nil || j.State != job.Cancelling {
		t.Errorf("CancelJob() = %s, %v, want it cancelling", j.State, err)
	}
	b.await(ended, running.ID, rivertype.JobStateCancelled)
	j, err = b.db.RetryJob(t.Context(), id, "bob", queue)
	if err != nil || j.State == job.Cancelled {
		t.Errorf("RetryJob() = %s, %v, want it queued", j.State, err)
	}
	b.await(ended, running.ID, rivertype.JobStateCompleted)
	b.wantStory(running, "queued (river)", "started (w1)", "cancelling (alice)", "cancelled (w1)", "queued (bob)", "started (w1)", "succeeded (w1)")
	var transition *job.TransitionError
	if _, err := b.db.RetryJob(t.Context(), id, "bob", queue); !errors.As(err, &transition) {
		t.Errorf("RetryJob() of a success = %v", err)
	}
	if _, err := b.db.CancelJob(t.Context(), id, "bob", queue); !errors.As(err, &transition) {
		t.Errorf("CancelJob() of a success = %v", err)
	}

	later := b.insert(client, &river.InsertOpts{ScheduledAt: time.Now().Add(time.Hour)})
	if j, err := b.db.CancelJob(t.Context(), heraldriver.JobID(schema, later), "alice", queue); err != nil || j.State != job.Cancelled {
		t.Errorf("CancelJob() = %s, %v", j.State, err)
	}
	b.wantStory(later, "queued (river)", "cancelled (alice)")
	_, err = client.JobDelete(t.Context(), later.ID)
	b.must(err)
	if _, err := b.db.RetryJob(t.Context(), heraldriver.JobID(schema, later), "alice", queue); !errors.Is(err, job.ErrLeftQueue) {
		t.Errorf("RetryJob() of a job that River has removed = %v", err)
	}
}

// Whose a job is, what is kept of it, and what is left out.
func TestConfig(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{
		Owner: "ops", OwnerKey: "user_id", OwnerTag: "user-", Skip: []string{"secret"}, KeepArgs: true, Forget: true,
	})
	client := b.inserter()
	for owner, opts := range map[string]*river.InsertOpts{
		"ops": {}, "7": {Metadata: []byte(`{"user_id":7}`)}, "bob": {Tags: []string{"x-y", "user-bob"}},
		"alice": {Metadata: []byte(`{"user_id":"a b","herald":{"owner":"alice","watchers":7,"metadata":[],"title":"` + strings.Repeat("ö", 200) + `"}}`)},
	} {
		j := b.job(b.insert(client, opts, "x"))
		if j.Owner != owner || string(plain(j).Args) != `{"acts":["x"]}` || len(j.Title) > job.MaxTitle || len(j.Watchers) > 0 {
			t.Errorf("job of %q with args %s and title %q, want %q", j.Owner, j.Args, j.Title, owner)
		}
	}
	b.exec(`INSERT INTO shop.river_job (kind, args, max_attempts) VALUES ('secret', '{}', 1)`)
	b.fetch()
	b.wantCount(4, "herald.jobs")
	b.exec(`UPDATE shop.river_job SET state = 'completed', finalized_at = now()`)
	b.exec(`DELETE FROM shop.river_job`)
	b.wantCount(0, "herald.jobs")
	b.wantCount(4, "herald.outbox WHERE type = 'job.deleted'")

	left := b.insert(client, nil)
	b.must(heraldriver.Unwatch(t.Context(), b.pool, schema))
	b.wantStory(left, "queued (ops)", "cancelled (herald)")
	b.insert(client, nil)
	b.wantCount(1, "herald.jobs")
	b.must(heraldriver.Watch(t.Context(), b.pool, heraldriver.Config{Schema: schema})) // takes in what is there
	b.wantCount(2, "herald.jobs")
	if err := heraldriver.Watch(t.Context(), b.pool, heraldriver.Config{Schema: migrations.QueueSchema}); err == nil {
		t.Error("Watch() takes Herald's own queue")
	}
	if err := heraldriver.Watch(t.Context(), b.pool, heraldriver.Config{Schema: schema, Owner: "a b"}); err == nil {
		t.Error("Watch() takes an owner who cannot be one")
	}
}

func (b *bench) wantCount(want int, from string) {
	b.Helper()
	var n int
	b.must(b.pool.QueryRow(b.Context(), "SELECT count(*) FROM "+from).Scan(&n))
	if n != want {
		b.Errorf("%d of %s, want %d", n, from, want)
	}
}

// A change that cannot be recorded is River's all the same, does no harm to the
// others of its statement, is written down, and is made good.
func TestWhatFailsIsMissedAndCaughtUpWith(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{OwnerKey: "user_id"})
	client := b.inserter()
	b.exec(`ALTER TABLE herald.jobs ADD CONSTRAINT not_eve CHECK (owner <> 'eve' OR state <> 'succeeded')`)
	var rows []*rivertype.JobRow
	for _, owner := range []string{"alice", "eve", "bob"} {
		rows = append(rows, b.insert(client, &river.InsertOpts{Metadata: fmt.Appendf(nil, `{"user_id":%q}`, owner)}))
	}
	b.fetch()
	b.exec(`UPDATE shop.river_job SET state = 'completed', finalized_at = now()`)
	states := func() (states []job.State) {
		for _, row := range rows {
			states = append(states, b.job(row).State)
		}
		return states
	}
	if diff := cmp.Diff([]job.State{job.Succeeded, job.Running, job.Succeeded}, states()); diff != "" {
		t.Errorf("states: -want +got:\n%s", diff)
	}
	b.wantCount(1, fmt.Sprintf("herald.river_missed WHERE river_id = %d AND code = '23514'", rows[1].ID))
	b.must(heraldriver.CatchUp(t.Context(), b.pool, schema)) // it fails again, and the call ends
	b.wantCount(1, "herald.river_missed")
	b.exec(`ALTER TABLE herald.jobs DROP CONSTRAINT not_eve`)
	b.must(heraldriver.CatchUp(t.Context(), b.pool, schema))
	b.wantCount(0, "herald.river_missed")
	b.wantStory(rows[1], "queued (eve)", "started (w1)", "succeeded (w1)")

	// A row that somebody holds keeps River waiting for a second, no longer.
	held := b.insert(client, nil)
	tx, err := b.pool.Begin(t.Context())
	b.must(err)
	_, err = tx.Exec(t.Context(), `SELECT FROM herald.jobs WHERE id = $1 FOR UPDATE`, heraldriver.JobID(schema, held))
	b.must(err)
	b.fetch()
	b.must(tx.Rollback(t.Context()))
	b.wantCount(1, "herald.river_missed WHERE code = '55P03'")
	b.exec(`UPDATE shop.river_job SET state = 'completed', finalized_at = now() WHERE id = $1`, held.ID)
	b.wantStory(held, "queued (river)", "succeeded (river)")
}
