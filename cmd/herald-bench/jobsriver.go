package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"herald/heraldriver"
	"herald/internal/postgres"
	"herald/internal/postgres/embedded"
)

// riverMode is a River with or without Herald.
type riverMode struct {
	name    string
	watched bool
	logged  bool // the sequencer runs beside it, and the clock until all is in the log
	db      *postgres.DB
	rates   []float64 // jobs worked a second, round by round
	inserts []float64 // jobs inserted a second
}

const riverJobs = 10_000

// riverFigures works queued jobs that do nothing, in each mode in turn.
func riverFigures(ctx context.Context, server *embedded.Server, quick bool) ([]figure, error) {
	modes := []*riverMode{{name: "river"}, {name: "river_watched", watched: true}, {name: "river_logged", watched: true, logged: true}}
	rounds := 7
	if quick {
		rounds = 3
	}
	for _, m := range modes {
		if err := m.open(ctx, server); err != nil {
			return nil, err
		}
		defer m.db.Close()
	}
	if err := recycle(ctx, server.URL("postgres")); err != nil {
		return nil, err
	}
	for round := range rounds {
		for i := range modes {
			m := modes[(round+i)%len(modes)]
			if err := m.round(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	return []figure{
		ratioTo("river_ratio", modes[1].rates, modes[0].rates, "no-op jobs worked a second, each change recorded, against River alone"),
		ratioTo("river_log_ratio", modes[2].rates, modes[0].rates, "the same with the sequencer beside it, all in the log"),
		ratioTo("river_insert_ratio", modes[1].inserts, modes[0].inserts, "jobs inserted a second, by 1,000"),
	}, nil
}

// recycle fills segments of the write-ahead log, which the rounds overwrite: as on
// a server that has run for a while, none is made while the clock runs.
func recycle(ctx context.Context, url string) error {
	const segments = 48
	for range segments {
		if err := execute(ctx, url, "SELECT pg_logical_emit_message(FALSE, 'bench', ''), pg_switch_wal()"); err != nil {
			return err
		}
	}
	return execute(ctx, url, "CHECKPOINT")
}

// ratioTo is the median of the rounds' ratios.
func ratioTo(key string, with, without []float64, says string) figure {
	ratios := make([]float64, len(with))
	for i := range with {
		ratios[i] = with[i] / without[i]
	}
	return figure{key, quantile(ratios, 0.5), fmt.Sprintf("%s: %.0f of %.0f (medians of %d rounds)", says,
		quantile(with, 0.5), quantile(without, 0.5), len(with))}
}

// open makes the mode's database, with a River in it.
func (m *riverMode) open(ctx context.Context, server *embedded.Server) error {
	if err := execute(ctx, server.URL("postgres"), "CREATE DATABASE "+m.name); err != nil {
		return err
	}
	url := server.URL(m.name)
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	var err error
	if m.db, err = postgres.Open(ctx, url, postgres.Config{MaxConns: 20}); err != nil {
		return err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(m.db.Pool()), &rivermigrate.Config{Schema: heraldriver.DefaultSchema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil || !m.watched {
		return err
	}
	return heraldriver.Watch(ctx, m.db.Pool(), heraldriver.Config{})
}

// benchArgs is a job of the bench: Calls is how often its worker reports.
type benchArgs struct {
	Calls int `json:"calls"`
}

func (benchArgs) Kind() string { return "bench" }

type benchWorker struct {
	river.WorkerDefaults[benchArgs]

	done chan struct{} // closed after the last job
	left atomic.Int64
	took time.Duration // what the calls of the last job that reports took
}

func (w *benchWorker) Work(ctx context.Context, j *river.Job[benchArgs]) error {
	reporter := heraldriver.FromContext(ctx)
	began := time.Now()
	for i := range int64(j.Args.Calls) {
		reporter.Count(i, int64(j.Args.Calls), "rows")
	}
	if j.Args.Calls > 0 {
		w.took = time.Since(began)
	}
	if w.left.Add(-1) == 0 {
		close(w.done)
	}
	return nil
}

// client is a client set for speed, as River's own bench is.
func (m *riverMode) client(w *benchWorker) (*river.Client[pgx.Tx], error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	c := &river.Config{
		Logger: slog.New(slog.DiscardHandler), Schema: heraldriver.DefaultSchema, Workers: workers,
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2_000}},
		FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
	}
	if m.watched {
		c.Middleware = []rivertype.Middleware{heraldriver.NewMiddleware(m.db.Pool(), heraldriver.MiddlewareConfig{})}
	}
	return river.NewClient(riverpgxv5.New(m.db.Pool()), c)
}

// round inserts jobs, and works them from the start of a client to its end, by
// which all are completed.
func (m *riverMode) round(ctx context.Context) error {
	if m.logged {
		defer sequence(ctx, m.db)()
	}
	w := &benchWorker{done: make(chan struct{})}
	w.left.Store(riverJobs)
	client, err := m.client(w)
	if err != nil {
		return err
	}
	if err := m.insert(ctx, client); err != nil {
		return err
	}
	if m.logged {
		if err := drained(ctx, m.db); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := m.work(ctx, client, w); err != nil {
		return err
	}
	m.rates = append(m.rates, riverJobs/time.Since(began).Seconds())
	return m.clear(ctx)
}

func (m *riverMode) insert(ctx context.Context, client *river.Client[pgx.Tx]) error {
	const batch = 1_000
	began := time.Now()
	for range riverJobs / batch {
		if _, err := client.InsertManyFast(ctx, noops(batch)); err != nil {
			return err
		}
	}
	m.inserts = append(m.inserts, riverJobs/time.Since(began).Seconds())
	return nil
}

func noops(n int) []river.InsertManyParams {
	list := make([]river.InsertManyParams, n)
	for i := range list {
		list[i].Args = benchArgs{}
	}
	return list
}

func (m *riverMode) work(ctx context.Context, client *river.Client[pgx.Tx], w *benchWorker) error {
	if err := client.Start(ctx); err != nil {
		return err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
	}
	if err := client.Stop(ctx); err != nil {
		return err
	}
	if m.logged {
		return drained(ctx, m.db)
	}
	return nil
}

// clear checks that all is done and recorded, and removes it.
func (m *riverMode) clear(ctx context.Context) error {
	var done, recorded int
	if err := m.db.Pool().QueryRow(ctx, `SELECT (SELECT count(*) FROM public.river_job WHERE state = 'completed'),
		(SELECT count(*) FROM herald.jobs WHERE state = 'succeeded')`).Scan(&done, &recorded); err != nil {
		return err
	}
	if done != riverJobs || m.watched && recorded != riverJobs {
		return fmt.Errorf("%d jobs completed and %d recorded of %d", done, recorded, riverJobs)
	}
	_, err := m.db.Pool().Exec(ctx, `TRUNCATE public.river_job; TRUNCATE herald.jobs CASCADE; TRUNCATE herald.outbox`)
	if err == nil {
		_, err = m.db.Pool().Exec(ctx, "CHECKPOINT")
	}
	return err
}

// reporterFigures has the worker of one job report a million times.
func reporterFigures(ctx context.Context, server *embedded.Server) ([]figure, error) {
	const calls = 1_000_000
	m := &riverMode{name: "river_reporter", watched: true}
	if err := m.open(ctx, server); err != nil {
		return nil, err
	}
	defer m.db.Close()
	w := &benchWorker{done: make(chan struct{})}
	w.left.Store(1)
	client, err := m.client(w)
	if err != nil {
		return nil, err
	}
	if _, err := client.Insert(ctx, benchArgs{Calls: calls}, nil); err != nil {
		return nil, err
	}
	if err := m.work(ctx, client, w); err != nil {
		return nil, err
	}
	var rows, processed int64
	if err := m.db.Pool().QueryRow(ctx, `SELECT (SELECT count(*) FROM herald.outbox WHERE type = 'job.progress'),
		(SELECT processed FROM herald.jobs)`).Scan(&rows, &processed); err != nil {
		return nil, err
	}
	if processed != calls-1 {
		return nil, errors.New("the last report was lost")
	}
	most := 2 + w.took.Milliseconds()/250
	return []figure{
		{"reporter_ns", float64(w.took.Nanoseconds()) / calls, "a call of a reporter, a million of them on one job"},
		{"reporter_rows", float64(rows), fmt.Sprintf("events of progress recorded of them, at most %d by the pace", most)},
	}, nil
}
