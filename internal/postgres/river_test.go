package postgres_test

import (
	"encoding/json"
	"slices"
	"testing"

	"herald/internal/job"
	"herald/internal/postgres"
)

// What the triggers of a River have left in the outbox is told whichever way the
// schema goes meanwhile, and they work on at each version.
func TestWhatRiverSaysOutlivesAMigration(t *testing.T) {
	t.Parallel()
	db := open(t)
	execute(t, db.Pool(), `CREATE SCHEMA shop; CREATE SEQUENCE shop.ids;
		CREATE TABLE shop.river_job (LIKE herald_queue.river_job INCLUDING ALL);
		ALTER TABLE shop.river_job ALTER id SET DEFAULT nextval('shop.ids')`)
	execute(t, db.Pool(), `SELECT herald.watch_river('shop')`)
	execute(t, db.Pool(), `INSERT INTO shop.river_job (kind, args, max_attempts, metadata)
		VALUES ('sum', '{}', 3, '{}'), ('sum', '{}', 3, '{"herald": {"metadata": {"tenant": "a"}}}')`)
	for _, step := range []struct {
		version int64
		sql     string
	}{
		{24, `UPDATE shop.river_job SET state = 'running', attempt = 1, attempted_at = now()`},
		{25, `UPDATE shop.river_job SET state = 'retryable', errors = ARRAY['{"attempt": 1, "error": "it broke"}'::jsonb]`},
		{19, `UPDATE shop.river_job SET state = 'completed', finalized_at = now()`},
		{25, `SELECT herald.unwatch_river('shop')`},
	} {
		if err := postgres.MigrateTo(t.Context(), db.Pool().Config().ConnString(), step.version); err != nil {
			t.Fatal(err)
		}
		db.Pool().Reset()
		execute(t, db.Pool(), step.sql)
	}
	if n := count(t, db.Pool(), `SELECT count(*) FROM herald.river_missed`); n > 0 {
		t.Errorf("%d changes missed", n)
	}
	if err := postgres.Migrate(t.Context(), db.Pool().Config().ConnString()); err != nil {
		t.Fatal(err)
	}
	drain(t, db)
	var got []string
	for _, e := range all(t, db) {
		var j job.Job
		if err := json.Unmarshal(e.Payload, &j); err != nil {
			t.Fatalf("%s: %v", e.Payload, err)
		}
		got = append(got, string(e.Type)+" "+j.Error)
		if j.ID != e.JobID || j.Version != e.JobVersion || j.Title != "Sum" {
			t.Errorf("event %d says %s of job %v at version %d", e.Seq, e.Payload, e.JobID, e.JobVersion)
		}
	}
	want := []string{
		"job.queued ", "job.queued ", "job.started ", "job.started ",
		"job.retrying it broke", "job.retrying it broke", "job.succeeded ", "job.succeeded ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log has %v, want %v", got, want)
	}
}
