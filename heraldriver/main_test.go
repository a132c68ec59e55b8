package heraldriver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"herald/heraldriver"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// schema is where the tests' River is.
const schema = "shop"

// bench is a database with Herald's schema and a River beside it.
type bench struct {
	*testing.T
	db   *postgres.DB
	pool *pgxpool.Pool
}

// setup makes one, whose River is watched as the Config says.
func setup(t *testing.T, c heraldriver.Config) *bench {
	t.Helper()
	db, err := postgres.Open(t.Context(), pgtest.New(t), postgres.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	b := &bench{T: t, db: db, pool: db.Pool()}
	b.exec("CREATE SCHEMA " + schema)
	migrator, err := rivermigrate.New(riverpgxv5.New(b.pool), &rivermigrate.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
	b.must(err)
	_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	b.must(err)
	c.Schema = schema
	b.must(heraldriver.Watch(t.Context(), b.pool, c))
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) exec(sql string, args ...any) {
	b.Helper()
	_, err := b.pool.Exec(b.Context(), sql, args...)
	b.must(err)
}

// actArgs say what the attempts of a job do, one after another, and then succeed.
type actArgs struct {
	Acts []string `json:"acts"`
}

func (actArgs) Kind() string { return "do_it" }

// actor does what the args say. Its acts may be replaced by a test's own.
type actor struct {
	river.WorkerDefaults[actArgs]

	own     func(ctx context.Context, j *river.Job[actArgs]) error
	started chan int64 // the ids of jobs that wait for their context
}

func (a *actor) NextRetry(*river.Job[actArgs]) time.Time { return time.Now() }

func (a *actor) Work(ctx context.Context, j *river.Job[actArgs]) error {
	act := ""
	if n := len(j.AttemptedBy) - 1; n < len(j.Args.Acts) {
		act = j.Args.Acts[n]
	}
	switch act {
	case "own":
		return a.own(ctx, j)
	case "fail":
		return fmt.Errorf("attempt %d broke", len(j.AttemptedBy))
	case "panic":
		panic("oh")
	case "snooze":
		return river.JobSnooze(time.Millisecond)
	case "cancel":
		return river.JobCancel(fmt.Errorf("no use"))
	case "wait":
		a.started <- j.ID
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// client starts a River that works the jobs, until the test ends or stop is called.
func (b *bench) client(a *actor) (client *river.Client[pgx.Tx], ended <-chan *river.Event, stop func()) {
	b.Helper()
	workers := river.NewWorkers()
	river.AddWorker(workers, a)
	if a.started == nil {
		a.started = make(chan int64, 10)
	}
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{
		ID: "w1", Schema: schema, Workers: workers, Logger: slog.New(slog.DiscardHandler),
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 5}},
		FetchCooldown: time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
		Middleware: []rivertype.Middleware{heraldriver.NewMiddleware(b.pool, heraldriver.MiddlewareConfig{Schema: schema})},
	})
	b.must(err)
	ended, unsubscribe := client.Subscribe(river.EventKindJobCompleted, river.EventKindJobFailed, river.EventKindJobCancelled, river.EventKindJobSnoozed)
	b.must(client.Start(context.WithoutCancel(b.Context())))
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		unsubscribe()
		if err := client.StopAndCancel(ctx); err != nil {
			b.Errorf("StopAndCancel() = %v", err)
		}
	}
	b.Cleanup(stop)
	return client, ended, stop
}

// inserter is a client that works nothing.
func (b *bench) inserter() *river.Client[pgx.Tx] {
	b.Helper()
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
	b.must(err)
	return client
}

// await waits for the end of the job's last attempt.
func (b *bench) await(ended <-chan *river.Event, id int64, state rivertype.JobState) {
	b.Helper()
	for {
		select {
		case e := <-ended:
			if e.Job.ID == id && e.Job.State == state {
				return
			}
		case <-time.After(time.Minute):
			b.Fatalf("job %d did not become %s", id, state)
		}
	}
}

// insert inserts a job.
func (b *bench) insert(client *river.Client[pgx.Tx], opts *river.InsertOpts, acts ...string) *rivertype.JobRow {
	b.Helper()
	out, err := client.Insert(b.Context(), actArgs{Acts: acts}, opts)
	b.must(err)
	return out.Job
}

// job reads what Herald has of a River job.
func (b *bench) job(row *rivertype.JobRow) job.Job {
	b.Helper()
	j, err := b.db.Job(b.Context(), heraldriver.JobID(schema, row))
	b.must(err)
	return j
}

// hidden is what a job's row has and its events do not tell.
func hidden() cmp.Option {
	return cmpopts.IgnoreFields(job.Job{}, "Watchers", "QueueID", "River", "CreatedBy", "ClaimedBy", "Pace", "Estimate")
}

// story is a job's events, each as its type and, in brackets, its actor; each has
// the next version, and the last one that carries the whole job says what its row
// says.
func (b *bench) story(id uuid.UUID) []string {
	b.Helper()
	rows, err := b.pool.Query(b.Context(), `SELECT type, job_version, actor, coalesce(payload, herald.river_json(job_id, job_version, created_at, brief))::text FROM herald.outbox WHERE job_id = $1 ORDER BY id`, id)
	b.must(err)
	defer rows.Close()
	var story []string
	var last job.Job
	var version int64
	for rows.Next() {
		var kind, actor, payload string
		var at int64
		b.must(rows.Scan(&kind, &at, &actor, &payload))
		story = append(story, strings.TrimPrefix(kind, "job.")+" ("+actor+")")
		if kind == "job.late_report" || kind == "job.deleted" {
			continue
		}
		if version++; at != version {
			b.Errorf("event %d of job %s, %s, has version %d", version, id, kind, at)
		}
		// What an event of progress leaves out stays as it was.
		b.must(json.Unmarshal([]byte(payload), &last))
	}
	b.must(rows.Err())
	row, err := b.db.Job(b.Context(), id)
	if err != nil {
		return story // deleted
	}
	if diff := cmp.Diff(plain(row), plain(last), hidden()); diff != "" {
		b.Errorf("job %s and its last event: -row +event:\n%s", id, diff)
	}
	return story
}

// plain is the job without what tells the same in two ways.
func plain(j job.Job) job.Job {
	for _, object := range []*json.RawMessage{&j.Args, &j.Result, &j.Metadata, &j.Details} {
		var v any
		if json.Unmarshal(*object, &v) == nil {
			*object, _ = json.Marshal(v)
		}
		if string(*object) == "null" {
			*object = nil
		}
	}
	return j
}

func (b *bench) wantStory(row *rivertype.JobRow, want ...string) {
	b.Helper()
	if diff := cmp.Diff(want, b.story(heraldriver.JobID(schema, row))); diff != "" {
		b.Errorf("story of job %d: -want +got:\n%s", row.ID, diff)
	}
}
