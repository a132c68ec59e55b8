package postgres_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"herald/internal/job"
	"herald/internal/postgres"
)

// What the triggers of a River have left in the outbox is told whichever way the
// schema goes meanwhile, and who writes jobs goes on at each version.
func TestWhatRiverSaysOutlivesAMigration(t *testing.T) {
	t.Parallel()
	db := open(t)
	url := db.Pool().Config().ConnString()
	other := started(t, db, &queue{}, "w")
	execute(t, db.Pool(), `CREATE SCHEMA shop; CREATE SEQUENCE shop.ids;
		CREATE TABLE shop.river_job (LIKE herald_queue.river_job INCLUDING ALL);
		ALTER TABLE shop.river_job ALTER id SET DEFAULT nextval('shop.ids')`)
	execute(t, db.Pool(), `SELECT herald.watch_river('shop')`)
	execute(t, db.Pool(), `INSERT INTO shop.river_job (kind, args, max_attempts, metadata)
		VALUES ('sum', '{}', 3, '{}'), ('sum', '{}', 3, '{"herald": {"metadata": {"tenant": "a"}}}'), ('wait', '{}', 3, '{}')`)
	for _, step := range []struct {
		version int64
		sql     string
	}{
		{24, `UPDATE shop.river_job SET state = 'running', attempt = 1, attempted_at = now() WHERE kind = 'sum'`},
		{25, `UPDATE shop.river_job SET state = 'retryable', errors = ARRAY['{"attempt": 1, "error": "it broke"}'::jsonb] WHERE kind = 'sum'`},
		{24, `UPDATE shop.river_job SET state = 'running', attempt = 2, attempted_at = now() WHERE kind = 'sum'`},
		{19, `UPDATE shop.river_job SET state = 'completed', finalized_at = now() WHERE kind = 'sum'`},
		{19, `SELECT herald.unwatch_river('shop')`},
	} {
		if err := postgres.MigrateTo(t.Context(), url, step.version); err != nil {
			t.Fatal(err)
		}
		db.Pool().Reset()
		execute(t, db.Pool(), step.sql)
		execute(t, db.Pool(), `SELECT herald.report($1, 1), herald.report($1, 1, progress => 0.5)`, other.ID) // the first is a heartbeat
	}
	if n := count(t, db.Pool(), `SELECT count(*) FROM herald.river_missed`); n > 0 {
		t.Errorf("%d changes missed", n)
	}
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db.Pool().Reset()
	drain(t, db)
	got := map[string]int{}
	for _, e := range all(t, db) {
		if e.JobID == other.ID {
			continue
		}
		var j job.Job
		if err := json.Unmarshal(e.Payload, &j); err != nil {
			t.Fatalf("%s: %v", e.Payload, err)
		}
		got[fmt.Sprintf("%d %s %s: %s", j.Version, e.Type, j.Title, j.Error)]++
		if j.ID != e.JobID || j.Version != e.JobVersion || "job."+string(j.State) != string(e.Type) && e.Type != "job.started" {
			t.Errorf("event %d says %s of job %v at version %d", e.Seq, e.Payload, e.JobID, e.JobVersion)
		}
	}
	want := map[string]int{
		"1 job.queued Sum: ": 2, "2 job.started Sum: ": 2, "3 job.retrying Sum: it broke": 2, "4 job.started Sum: ": 2, "5 job.succeeded Sum: ": 2,
		"1 job.queued Wait: ": 1, "2 job.cancelled Wait: Herald no longer watches the queue that runs the job.": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("of River's jobs the log has: -want +got\n%s", diff)
	}
	if j, err := db.Job(t.Context(), other.ID); err != nil || j.Version != other.Version+5 {
		t.Errorf("the job that was reported on is at version %d (%v), want %d", j.Version, err, other.Version+5)
	}
}

// Who writes a state writes where the job stands by it, and there is no standing of
// a state that there is not.
func TestAStateThatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	db := open(t)
	j := started(t, db, &queue{}, "w")
	_, err := db.Pool().Exec(t.Context(), `UPDATE herald.jobs SET state = 'lost', standing = herald.job_standing('lost', external, river_id, heartbeat_at)
		WHERE id = $1`, j.ID)
	if refused := (*pgconn.PgError)(nil); !errors.As(err, &refused) || refused.ColumnName != "standing" {
		t.Errorf("a job became lost: %v", err)
	}
}
