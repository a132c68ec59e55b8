package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/eventlog"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/embedded"
)

type logCmd struct {
	output
	Only []string `help:"Measure these alone: latency, takeover, reports, batches, ceiling, replay." enum:"latency,takeover,reports,batches,ceiling,replay" placeholder:"NAME"`
}

// plan is how long what is measured.
type plan struct {
	rounds    int           // of every comparison
	slice     time.Duration // of one mode in one round
	latencies int           // events
	takeovers int
	backlog   int // rows in the outbox
	log       int // events in the log that is replayed
}

// mode is a way of telling readers that something was written.
type mode struct {
	name    string
	prepare string // what makes a migrated database work that way
	db      *postgres.DB
	jobs    []job.Job
}

// The modes: what Herald does is held against the same transactions without any
// notification, and with one in each.
const (
	plain  = "plain"
	naive  = "naive"
	herald = "herald"
)

const mostWriters = 64

// Run measures and prints.
func (c *logCmd) Run(ctx context.Context) error {
	p := plan{rounds: 7, slice: 2 * time.Second, latencies: 1000, takeovers: 20, backlog: 300_000, log: 5_000_000}
	if c.Quick {
		p = plan{rounds: 3, slice: 500 * time.Millisecond, latencies: 150, takeovers: 5, backlog: 50_000, log: 100_000}
	}
	server, end, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer end()
	modes := []*mode{
		{name: plain, prepare: `DROP TRIGGER outbox_rings ON herald.outbox`},
		{name: naive, prepare: `CREATE OR REPLACE FUNCTION herald.ring() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM pg_notify('herald_bell', ''); RETURN NULL; END $$`},
		{name: herald, prepare: `SELECT 1`},
	}
	for _, m := range modes {
		if err := m.open(ctx, server); err != nil {
			return err
		}
		defer m.db.Close()
	}
	ours := modes[len(modes)-1]
	var figures []figure
	for _, m := range []struct {
		name    string
		measure func() ([]figure, error)
	}{
		{"latency", func() ([]figure, error) { return latency(ctx, modes, p) }},
		{"takeover", func() ([]figure, error) { return takeover(ctx, ours, p) }},
		{"reports", func() ([]figure, error) { return compareReports(ctx, modes, p) }},
		{"batches", func() ([]figure, error) { return compareBatches(ctx, modes, p) }},
		{"ceiling", func() ([]figure, error) { return ceiling(ctx, ours, p) }},
		{"replay", func() ([]figure, error) { return replay(ctx, ours, p) }},
	} {
		if len(c.Only) > 0 && !slices.Contains(c.Only, m.name) {
			continue
		}
		measured, err := m.measure()
		if err != nil {
			return err
		}
		progress(os.Stderr, measured)
		figures = append(figures, measured...)
	}
	return c.show(os.Stdout, figures)
}

// progress tells somebody who waits what is known so far.
func progress(w io.Writer, measured []figure) {
	for _, f := range measured {
		fmt.Fprintf(w, "%s %.2f\n", f.Key, f.Value)
	}
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
func (noQueue) CancelRiverTx(context.Context, pgx.Tx, job.River) error    { return nil }
func (noQueue) RetryRiverTx(context.Context, pgx.Tx, job.River) error     { return nil }

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
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
