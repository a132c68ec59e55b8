package heraldriver_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/heraldriver"
	"herald/internal/job"
)

// That an attempt begins adds to no index: half of what it would cost.
func TestAStartIsAHotUpdate(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	row := b.insert(b.inserter(), nil)
	b.must(pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `UPDATE shop.river_job SET state = 'running', attempt = 1, attempted_at = now()`); err != nil {
			return err
		}
		var all, hot int
		err := tx.QueryRow(t.Context(), `SELECT pg_stat_get_xact_tuples_updated(c), pg_stat_get_xact_tuples_hot_updated(c)
			FROM to_regclass('herald.jobs') c`).Scan(&all, &hot)
		if all != 1 || hot != 1 {
			t.Errorf("%d rows updated, %d of them HOT, want 1 and 1", all, hot)
		}
		return err
	}))
	if j := b.job(row); j.State != job.Running {
		t.Errorf("job %s, want it running", j.State)
	}
}

// The ids of the events of one statement, and of one job, all differ.
func TestEventIDsDiffer(t *testing.T) {
	t.Parallel()
	b := setup(t, heraldriver.Config{})
	b.exec(`INSERT INTO shop.river_job (state, kind, args, max_attempts, attempt, attempted_at)
		SELECT 'running', 'sum', '{}', 3, 1, now() FROM generate_series(1, 300)`)
	b.exec(`UPDATE shop.river_job SET state = 'retryable', attempt = 1, scheduled_at = now()`)
	b.exec(`UPDATE shop.river_job SET state = 'running', attempted_at = now()`)
	rows, err := b.pool.Query(t.Context(), `SELECT event_id FROM herald.outbox`)
	b.must(err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	b.must(err)
	seen := map[uuid.UUID]bool{}
	for _, id := range ids {
		if seen[id] || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Fatalf("event id %s: seen before %v, version %d", id, seen[id], id.Version())
		}
		seen[id] = true
	}
	if len(ids) != 4*300 {
		t.Errorf("%d events, want 1200", len(ids))
	}
}
