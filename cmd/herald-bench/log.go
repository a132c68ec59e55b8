package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"herald/internal/bus/pgbus"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/embedded"
)

type logCmd struct{ output }

// mode is a way of telling readers that something was written.
type mode struct {
	name    string
	prepare string // what makes a migrated database work that way
	db      *postgres.DB
	jobs    []job.Job
}

// plan is how long what is measured.
type plan struct {
	rounds    int
	slice     time.Duration // of one mode in one round
	latencies int
	backlog   int
}

const mostWriters = 64

// Run measures and prints.
func (c *logCmd) Run(ctx context.Context) error {
	p := plan{rounds: 7, slice: 3 * time.Second, latencies: 500, backlog: 300_000}
	if c.Quick {
		p = plan{rounds: 3, slice: time.Second, latencies: 150, backlog: 100_000}
	}
	server, end, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer end()
	modes := []*mode{
		{name: "plain", prepare: `DROP TRIGGER outbox_rings ON herald.outbox`},
		{name: "naive", prepare: `CREATE OR REPLACE FUNCTION herald.ring() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM pg_notify('herald_bell', ''); RETURN NULL; END $$`},
		{name: "herald", prepare: `SELECT 1`},
	}
	for _, m := range modes {
		if err := m.open(ctx, server); err != nil {
			return err
		}
		defer m.db.Close()
	}
	var figures []figure
	for _, writers := range []int{16, mostWriters} {
		measured, err := compare(ctx, modes, writers, p)
		if err != nil {
			return err
		}
		figures = append(figures, measured...)
	}
	for _, measure := range []func(context.Context, *postgres.DB, []job.Job, plan) ([]figure, error){latency, ceiling} {
		herald := modes[len(modes)-1]
		measured, err := measure(ctx, herald.db, herald.jobs, p)
		if err != nil {
			return err
		}
		figures = append(figures, measured...)
	}
	return c.show(os.Stdout, figures)
}

// open makes the mode's database, and a running job for each writer.
func (m *mode) open(ctx context.Context, server *embedded.Server) error {
	if err := execute(ctx, server.URL("postgres"), "CREATE DATABASE "+m.name); err != nil {
		return err
	}
	url := server.URL(m.name)
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	if err := execute(ctx, url, m.prepare); err != nil {
		return err
	}
	var err error
	if m.db, err = postgres.Open(ctx, url, postgres.Config{MaxConns: mostWriters}); err != nil {
		return err
	}
	for i := range mostWriters {
		j, err := m.db.CreateJob(ctx, job.New{Kind: "bench", Owner: "bench", Title: fmt.Sprintf("job %d", i)}, noQueue{})
		if err != nil {
			return err
		}
		if j, err = m.db.StartJob(ctx, j.ID, 1, "bench", nil); err != nil {
			return err
		}
		m.jobs = append(m.jobs, j)
	}
	return nil
}

// noQueue is a queue that nobody works.
type noQueue struct{}

func (noQueue) EnqueueTx(context.Context, pgx.Tx, job.Job) (int64, error) { return 1, nil }
func (noQueue) CancelTx(context.Context, pgx.Tx, int64) error             { return nil }

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// compare has the writers report as fast as they can, in each mode in turn, and
// compares what was committed round by round.
func compare(ctx context.Context, modes []*mode, writers int, p plan) ([]figure, error) {
	rates := make(map[string][]float64)
	ratios := make(map[string][]float64)
	for range p.rounds {
		round := make(map[string]float64)
		for _, m := range modes {
			rate, err := m.write(ctx, writers, p.slice)
			if err != nil {
				return nil, fmt.Errorf("%s with %d writers: %w", m.name, writers, err)
			}
			round[m.name] = rate
			rates[m.name] = append(rates[m.name], rate)
		}
		for name, rate := range round {
			ratios[name] = append(ratios[name], rate/round["plain"])
		}
	}
	says := func(name string) string {
		return fmt.Sprintf("of plain transactions (%.0f/s of %.0f/s; medians of %d rounds)",
			quantile(rates[name], 0.5), quantile(rates["plain"], 0.5), p.rounds)
	}
	return []figure{
		{fmt.Sprintf("report_ratio_%d", writers), quantile(ratios["herald"], 0.5), "Herald, " + says("herald")},
		{fmt.Sprintf("naive_ratio_%d", writers), quantile(ratios["naive"], 0.5), "NOTIFY in each, " + says("naive")},
	}, nil
}

// write returns the reports committed a second. In Herald's mode the sequencer
// works beside the writers; in the others the outbox is emptied afterwards.
func (m *mode) write(ctx context.Context, writers int, slice time.Duration) (float64, error) {
	if m.name == "herald" {
		stop := sequence(ctx, m.db)
		defer stop()
	}
	var committed atomic.Int64
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for _, j := range m.jobs[:writers] {
		group.Go(func() error {
			for time.Since(began) < slice {
				if _, err := m.db.RecordReport(ctx, j.ID, report(committed.Load())); err != nil {
					return err
				}
				committed.Add(1)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if m.name != "herald" {
		if _, err := m.db.Pool().Exec(context.WithoutCancel(ctx), "TRUNCATE herald.outbox"); err != nil {
			return 0, err
		}
	}
	return float64(committed.Load()) / took.Seconds(), nil
}

// report is progress as a video job reports it.
func report(n int64) job.Report {
	left := time.Minute
	return job.Report{
		Attempt: 1, Processed: &n, Unit: "frames", Remaining: &left, Details: []byte(`{"fps":118.2,"speed":4.81}`),
	}
}

// sequence runs a sequencer until the returned function is called.
func sequence(ctx context.Context, db *postgres.DB) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = eventlog.NewSequencer(db, slog.New(slog.DiscardHandler), eventlog.Config{}).Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// latency measures, on a log that is otherwise idle, the time from a commit to
// the event in a reader's hand, on another connection, at 50 a second.
func latency(ctx context.Context, db *postgres.DB, jobs []job.Job, p plan) ([]figure, error) {
	defer sequence(ctx, db)()
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	grown := make(chan struct{}, 1)
	var group errgroup.Group
	group.Go(func() error {
		return pgbus.New(db.Session, postgres.LogChannel, slog.New(slog.DiscardHandler)).Follow(following, func(event.Seq) {
			select {
			case grown <- struct{}{}:
			default:
			}
		})
	})
	last, err := settle(ctx, db)
	if err != nil {
		return nil, err
	}
	var waits []float64
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for i := range p.latencies {
		<-ticker.C
		if _, err := db.RecordReport(ctx, jobs[0].ID, report(int64(i))); err != nil {
			return nil, err
		}
		committed := time.Now()
		for {
			events, err := db.Events(ctx, last, 10)
			if err != nil {
				return nil, err
			}
			if len(events) > 0 {
				last = events[len(events)-1].Seq
				break
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		waits = append(waits, float64(time.Since(committed).Microseconds())/1000)
	}
	cancel()
	says := fmt.Sprintf("ms from the commit to the event in a reader's hand, 50/s (%d events)", len(waits))
	return []figure{
		{"idle_latency_p50_ms", quantile(waits, 0.5), says},
		{"idle_latency_p99_ms", quantile(waits, 0.99), says},
	}, group.Wait()
}

// settle waits until the outbox is empty and the bell is armed, and returns the
// log's head.
func settle(ctx context.Context, db *postgres.DB) (event.Seq, error) {
	for {
		var left int
		var armed bool
		if err := db.Pool().QueryRow(ctx, "SELECT (SELECT count(*) FROM herald.outbox), is_called FROM herald.bell").Scan(&left, &armed); err != nil {
			return 0, err
		}
		if left == 0 && armed {
			return db.Head(ctx)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ceiling measures how fast a backlog is sequenced.
func ceiling(ctx context.Context, db *postgres.DB, jobs []job.Job, p plan) ([]figure, error) {
	j := jobs[0]
	_, err := db.Pool().Exec(ctx, `INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
		SELECT gen_random_uuid(), 'job.progress', ARRAY['job:' || $1::uuid, 'user:bench'], $1, n, 'bench',
			json_build_object('id', $1, 'version', n, 'text', repeat('x', 220))
		FROM generate_series(1, $2::int) n`, j.ID, p.backlog)
	if err != nil {
		return nil, err
	}
	session, err := db.Lead(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	const batch = 5000
	began, done := time.Now(), 0
	for done < p.backlog {
		b, err := session.Sequence(ctx, eventlog.Mark{}, batch)
		if err != nil {
			return nil, err
		}
		done += b.Events
	}
	rate := float64(done) / time.Since(began).Seconds()
	return []figure{{"sequence_events_per_s", rate, fmt.Sprintf("events/s out of a backlog of %d, two topics each", done)}}, nil
}
