package main

import (
	"context"
	"crypto/md5" //nolint:gosec // see historyJob
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"herald/internal/postgres"
)

// The log's jobs have 20 events each, 15 of them progress. A second of the log has 10
// events, in batches of 10. What is rare in it is told by historyEvents.
const (
	historyUsers  = 2000
	historyBatch  = 10
	historyAtOnce = 64 // jobs
)

const historyPartition = 1_000_000

// fillHistory makes a log without the sequencer, which would take ten times as
// long. Its audit chain is not one. What is there already of the same log is left as it
// is, so that one which is kept is filled once, even when that is interrupted.
func fillHistory(ctx context.Context, url string, n int) error {
	db, err := postgres.Open(ctx, url, postgres.Config{})
	if err != nil {
		return err
	}
	defer db.Close()
	if head, err := db.Head(ctx); err != nil || int(head) == n {
		return err
	}
	began := time.Now()
	var missing []int // made first, since to drop a table waits for all who fill others
	for first := 1; first <= n; first += historyPartition {
		filled, err := emptyPartition(ctx, db, first)
		if err != nil {
			return err
		}
		if !filled {
			missing = append(missing, first)
		}
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for _, first := range missing {
		group.Go(func() error {
			if err := fillPartition(ctx, db, first, n); err != nil {
				return fmt.Errorf("fill the log from %d on: %w", first, err)
			}
			fmt.Fprintf(os.Stderr, "the log from %d on after %v\n", first, time.Since(began).Round(time.Second))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if _, err := db.Pool().Exec(ctx, historyOfJobs, historyNumber(n)+historyAtOnce, historyUsers); err != nil {
		return err
	}
	if _, err := db.Pool().Exec(ctx, `VACUUM (ANALYZE) herald.events, herald.event_topics, herald.jobs`); err != nil {
		return err
	}
	// By its batches the log is seen to be whole, so they come last, and in one go.
	_, err = db.Pool().Exec(ctx, historyBatches, n/historyBatch, historyBatch)
	return err
}

// emptyPartition makes the partition that begins with the event first, but for its
// table of events, unless it is filled already.
func emptyPartition(ctx context.Context, db *postgres.DB, first int) (filled bool, err error) {
	var made bool
	if err := db.Pool().QueryRow(ctx, `SELECT EXISTS (SELECT FROM herald.events WHERE seq = $1),
		EXISTS (SELECT FROM herald.log_partitions WHERE first_seq = $1)`, first).Scan(&filled, &made); err != nil || filled {
		return filled, err
	}
	if !made {
		if _, err := db.Pool().Exec(ctx, `SELECT herald.extend_log($1)`, historyPartition); err != nil {
			return false, err
		}
	}
	_, err = db.Pool().Exec(ctx, fmt.Sprintf(`DROP TABLE IF EXISTS herald.events_%d`, first))
	return false, err
}

// fillPartition makes the events from first on, up to the end of their partition or of
// the log. Their table joins the log when it is full, so that its indexes are made in
// one go, and is made in the same transaction, which needs no write-ahead log then.
func fillPartition(ctx context.Context, db *postgres.DB, first, n int) error {
	return pgx.BeginFunc(ctx, db.Pool(), func(tx pgx.Tx) error {
		name, end := fmt.Sprintf("herald.events_%d", first), first+historyPartition
		if _, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE %s (LIKE herald.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)`, name)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf(historyEvents, name), first, min(end-1, n), n, historyUsers); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO herald.event_topics (topic, seq)
			SELECT topics[3], seq FROM %s WHERE cardinality(topics) = 3 ORDER BY seq`, name)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf(`ALTER TABLE herald.events ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)`, name, first, end))
		return err
	})
}

// historyEvents writes a partition, of a log of $3 events. The user "busy" has a
// quarter of the jobs of its first half, and none since.
const historyEvents = `
INSERT INTO %[1]s (seq, id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload)
SELECT n, gen_random_uuid(), type,
    CASE WHEN type = 'notification.notice' THEN ARRAY['all']
        WHEN job IS NULL THEN ARRAY['user:' || owner, 'channel:shop']
        WHEN nr %% 16 = 0 THEN ARRAY['job:' || job, 'user:' || owner, 'channel:team-' || nr / 16 %% 50]
        ELSE ARRAY['job:' || job, 'user:' || owner] END,
    job, step,
    CASE WHEN n <= 1000 THEN 'installer' WHEN type = 'notification.rare' THEN 'ops' ELSE 'worker-' || nr %% 8 END, at, at,
    json_build_object('id', job, 'version', step, 'state', state, 'progress', step / 20.0, 'message', 'part ' || step || ' of 20',
        'error', CASE WHEN state <> 'failed' THEN '' WHEN nr %% 20000 = 40 THEN 'disk 7 is broken' ELSE 'no space left' END,
        'metadata', json_build_object('region', CASE nr %% 2 WHEN 0 THEN 'eu' ELSE 'us' END,
            'tenant', CASE WHEN nr %% 5000 = 11 THEN 'acme' ELSE 't' || nr %% 100 END),
        'text', repeat('x', 150))
FROM (
    SELECT n, nr, step, CASE WHEN other IS NULL THEN md5(nr::text)::uuid END AS job,
        CASE WHEN nr %% 4 = 0 AND n <= $3 / 2 THEN 'busy' ELSE 'u' || nr %% $4 END AS owner,
        '2026-01-01'::timestamptz + (n - 1) / 10 * interval '1 second' AS at,
        coalesce(other, CASE WHEN step = 0 THEN 'job.queued' WHEN step = 1 THEN 'job.started'
            WHEN step = 7 AND nr %% 100 = 3 THEN 'job.stalled' WHEN step = 13 AND nr %% 50 = 9 THEN 'job.retrying'
            WHEN step IN (7, 13) THEN 'job.message'
            WHEN step < 19 THEN 'job.progress' WHEN nr %% 20 = 0 THEN 'job.failed' ELSE 'job.succeeded' END) AS type,
        CASE WHEN step < 19 THEN 'running' WHEN nr %% 20 = 0 THEN 'failed' ELSE 'succeeded' END AS state
    FROM (
        SELECT n, n / 1280 * 64 + n %% 64 AS nr, n / 64 %% 20 AS step,
            CASE WHEN n %% 100000 = 0 THEN 'notification.rare' WHEN n %% 1000 = 0 THEN 'notification.paid'
                WHEN n %% 10000 = 1 THEN 'notification.notice' END AS other
        FROM generate_series($1::bigint, $2::bigint) n
    ) numbers
) events`

// historyOfJobs has the jobs of the log as they ended: one in 1,000 is an import.
const historyOfJobs = `
INSERT INTO herald.jobs (id, kind, owner, title, state, max_attempts, version, created_at, updated_at, finished_at)
SELECT md5(nr::text)::uuid, CASE WHEN nr % 1000 = 7 THEN 'import' WHEN nr % 2 = 0 THEN 'video' ELSE 'export' END, 'u' || nr % $2,
    'job ' || nr, CASE WHEN nr % 20 = 0 THEN 'failed' ELSE 'succeeded' END, 3, 20, now(), now(), now()
FROM generate_series(0::bigint, $1::bigint) nr
ON CONFLICT DO NOTHING`

const historyBatches = `
INSERT INTO herald.log_batches (first_seq, last_seq, recorded_at, leaves, digest)
SELECT (b - 1) * $2 + 1, b * $2, '2026-01-01'::timestamptz + (b * $2 - 1) / 10 * interval '1 second', decode(repeat('00', 32 * $2::int), 'hex'),
    decode(repeat('00', 32), 'hex')
FROM generate_series(1::bigint, $1::bigint) b`

// historySome is the seq of a job's event, one of the first n, which is not the busy
// user's.
func historySome(n int) int { return rand.IntN(n/10)*10 + 5 }

// historyJob is the id of the job that the event is of.
func historyJob(n int) uuid.UUID {
	return uuid.UUID(md5.Sum([]byte(strconv.Itoa(historyNumber(n))))) //nolint:gosec // so the log has it
}

// historyUser is the owner of that job, when its number is odd.
func historyUser(n int) string { return fmt.Sprint("u", historyNumber(n)%historyUsers) }

// historyNumber is the number of that job.
func historyNumber(n int) int { return n/(20*historyAtOnce)*historyAtOnce + n%historyAtOnce }
