package main

import (
	"context"
	"crypto/md5" //nolint:gosec // see job
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/event"
	"herald/internal/postgres"
)

type historyCmd struct {
	output
	Events  int  `help:"Events in the log (default: 10 million, or 500,000 with --quick)."`
	Explain bool `help:"Print the plans of what is measured instead."`
}

// Run measures first pages of history.
func (c *historyCmd) Run(ctx context.Context) error {
	if c.Events == 0 {
		c.Events = 10_000_000
		if c.Quick {
			c.Events = 500_000
		}
	}
	// A partition that is filled in the transaction that makes it needs no log of what is written.
	server, stop, err := c.startWith(ctx, map[string]string{
		"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "8GB", "maintenance_work_mem": "256MB",
	})
	if err != nil {
		return err
	}
	defer stop()
	url := server.URL("postgres")
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	db, err := postgres.Open(ctx, url, postgres.Config{})
	if err != nil {
		return err
	}
	defer db.Close()
	began := time.Now()
	if err := fillHistory(ctx, db, c.Events); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "a log of %d events after %v\n", c.Events, time.Since(began).Round(time.Second))
	h := history{db: db, events: c.Events}
	if c.Explain {
		return h.explain(ctx)
	}
	rounds := 200
	if c.Quick {
		rounds = 60
	}
	figures, err := h.measure(ctx, rounds)
	if err != nil {
		return err
	}
	return c.show(os.Stdout, figures)
}

// The log's jobs have 20 events each, 15 of them progress, and 64 of them run at
// once; one event in 1,000 is a notification, and one in 100,000 of a rare type. A
// second of the log has 10 events, in batches of 10.
const (
	historyUsers = 2000
	historyBatch = 10
)

// fillHistory writes a log without the sequencer, which would take ten times as
// long. Its audit chain is not one. A partition of events joins the log when it is
// full, so that its indexes are made in one go.
func fillHistory(ctx context.Context, db *postgres.DB, n int) error {
	const partition = 1_000_000
	for first := 1; first <= n; first += partition {
		if _, err := db.Pool().Exec(ctx, `SELECT herald.extend_log($1)`, partition); err != nil {
			return err
		}
		upto := min(first+partition-1, n)
		if err := fillPartition(ctx, db, first, upto, first+partition); err != nil {
			return fmt.Errorf("fill the log from %d on: %w", first, err)
		}
		if _, err := db.Pool().Exec(ctx, historyBatches, first/historyBatch+1, upto/historyBatch, historyBatch); err != nil {
			return err
		}
	}
	_, err := db.Pool().Exec(ctx, `VACUUM (ANALYZE) herald.events, herald.log_batches`)
	return err
}

// fillPartition makes the partition anew that begins with the event first and ends
// before the event end.
func fillPartition(ctx context.Context, db *postgres.DB, first, upto, end int) error {
	return pgx.BeginFunc(ctx, db.Pool(), func(tx pgx.Tx) error {
		name := fmt.Sprintf("herald.events_%d", first)
		if _, err := tx.Exec(ctx, fmt.Sprintf(`DROP TABLE %[1]s;
			CREATE TABLE %[1]s (LIKE herald.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)`, name)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf(historyEvents, name), first, upto, historyUsers); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf(`ALTER TABLE herald.events ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)`, name, first, end))
		return err
	})
}

const historyEvents = `
INSERT INTO %[1]s (seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload)
SELECT n, gen_random_uuid(), type,
    CASE WHEN job IS NULL THEN ARRAY['user:u' || n %% $3, 'channel:shop'] ELSE ARRAY['job:' || job, 'user:u' || nr %% $3] END,
    job, step, 'worker-' || nr %% 8, at, at,
    json_build_object('id', job, 'version', step, 'state', state, 'message', 'part ' || step, 'text', repeat('x', 200))
FROM (
    SELECT n, nr, step, CASE WHEN other IS NULL THEN md5(nr::text)::uuid END AS job, '2026-01-01'::timestamptz + (n - 1) / 10 * interval '1 second' AS at,
        coalesce(other, CASE WHEN step = 0 THEN 'job.queued' WHEN step = 1 THEN 'job.started' WHEN step IN (7, 13) THEN 'job.message'
            WHEN step < 19 THEN 'job.progress' WHEN nr %% 20 = 0 THEN 'job.failed' ELSE 'job.succeeded' END) AS type,
        CASE WHEN step < 19 THEN 'running' WHEN nr %% 20 = 0 THEN 'failed' ELSE 'succeeded' END AS state
    FROM (
        SELECT n, n / 1280 * 64 + n %% 64 AS nr, n / 64 %% 20 AS step,
            CASE WHEN n %% 100000 = 0 THEN 'notification.rare' WHEN n %% 1000 = 0 THEN 'notification.paid' END AS other
        FROM generate_series($1::bigint, $2::bigint) n
    ) numbers
) events`

const historyBatches = `
INSERT INTO herald.log_batches (first_seq, last_seq, recorded_at, leaves, digest)
SELECT (b - 1) * $3 + 1, b * $3, '2026-01-01'::timestamptz + (b * $3 - 1) / 10 * interval '1 second', decode(repeat('00', 32 * $3::int), 'hex'),
    decode(repeat('00', 32), 'hex')
FROM generate_series($1::bigint, $2::bigint) b`

// history is a long log that is looked into.
type history struct {
	db     *postgres.DB
	events int
}

// question is a kind of query, another one each time.
type question struct {
	key, says string
	counts    bool // it is one of those that the bar is for
	ask       func() event.Query
}

func (h history) questions() []question {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	user := func() string { return fmt.Sprint("u", rand.IntN(historyUsers)) }
	moment := func() time.Time { return base.Add(time.Duration(h.events/20+rand.IntN(h.events/20)) * time.Second) }
	types := func(types ...string) func() event.Query {
		return func() event.Query { return event.Query{Types: types} }
	}
	return []question{
		{"job", "a job's", true, func() event.Query { return event.Query{Job: h.job()} }},
		{"user", "a user's", true, func() event.Query { return event.Query{User: user()} }},
		{"type", "failures", true, types("job.failed")},
		{"rare_type", "of a type of which one event in 100,000 is", true, types("notification.rare")},
		{"progress", "progress, which is in no index", true, types("job.progress")},
		{"prefix", "all types that begin with notification.", true, types("notification.*")},
		{"time", "an hour somewhere in its later half", true, func() event.Query {
			at := moment()
			return event.Query{Since: at.Add(-time.Hour), Until: at}
		}},
		{"user_time", "a user's before a moment", true, func() event.Query { return event.Query{User: user(), Until: moment()} }},
		{"user_failures", "a user's failures", false, func() event.Query { return event.Query{User: user(), Types: []string{"job.failed"}} }},
		{"actor", "what one of eight workers caused", false, func() event.Query { return event.Query{Actor: "worker-3"} }},
	}
}

// job is one of the log's.
func (h history) job() uuid.UUID {
	n := rand.IntN(h.events-2000) + 1
	return uuid.UUID(md5.Sum([]byte(strconv.Itoa(n/1280*64 + n%64)))) //nolint:gosec // so the log has it
}

// measure asks each question so often, in turn with the others.
func (h history) measure(ctx context.Context, rounds int) ([]figure, error) {
	took := map[string][]float64{}
	for range rounds {
		for _, q := range h.questions() {
			query := q.ask()
			query.Limit, query.Backward, query.Patience = 50, true, time.Second
			began := time.Now()
			page, err := h.db.History(ctx, query)
			if err != nil {
				return nil, err
			}
			if len(page.Events) == 0 && q.counts {
				return nil, fmt.Errorf("%s found nothing: %+v", q.key, query)
			}
			took[q.key] = append(took[q.key], milliseconds(time.Since(began)))
		}
	}
	var worst float64
	var figures []figure
	for _, q := range h.questions() {
		p99 := quantile(took[q.key], 0.99)
		if q.counts {
			worst = max(worst, p99)
		}
		figures = append(figures,
			figure{"history_" + q.key + "_p50_ms", quantile(took[q.key], 0.5), "ms to the newest 50 events, " + q.says},
			figure{"history_" + q.key + "_p99_ms", p99, "the same, 99th percentile"})
	}
	says := fmt.Sprintf("the worst of those by job, user, type and time, in a log of %d events (≤ 20)", h.events)
	return append([]figure{{"history_p99_ms", worst, says}}, figures...), nil
}

// explain prints each question's plan.
func (h history) explain(ctx context.Context) error {
	for _, q := range h.questions() {
		query := q.ask()
		query.Limit, query.Backward, query.Patience = 50, true, time.Second
		plan, err := h.db.ExplainHistory(ctx, query)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stdout, "## %s: %s\n\n%s\n\n", q.key, q.says, plan)
	}
	return nil
}
