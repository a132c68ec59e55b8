package heraldriver_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"

	"herald/heraldriver"
	"herald/internal/eventlog"
	"herald/internal/job"
)

// drain has the sequencer move what is in the outbox to the log.
func (b *bench) drain() {
	b.Helper()
	session, err := b.db.Lead(b.Context())
	b.must(err)
	defer session.Close()
	for {
		batch, err := session.Sequence(b.Context(), eventlog.Mark{}, 1_000)
		b.must(err)
		if batch.Events == 0 {
			return
		}
	}
}

// A trigger leaves a brief of the job, and the log has its JSON: as the row was
// then, however the row goes on and however the database's sessions write times.
func TestTheLogTellsOfTheJobAsItWas(t *testing.T) {
	t.Parallel()
	for name, metadata := range map[string]string{
		"no more than most": `{}`,
		"more":              `{"herald": {"title": "A \"title\"\\\nof two lines", "metadata": {"tenant": "é\"\\"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testTheLogTells(t, metadata)
		})
	}
}

func testTheLogTells(t *testing.T, metadata string) {
	t.Helper()
	b := setup(t, heraldriver.Config{Owner: `o"ps`, KeepArgs: true})
	b.exec(`DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Kathmandu''', current_database());
		EXECUTE format('ALTER DATABASE %I SET datestyle = ''SQL, DMY''', current_database());
		EXECUTE format('ALTER DATABASE %I SET extra_float_digits = -3', current_database());
	END $$`)
	b.pool.Reset()
	row := b.insert(b.inserter(), &river.InsertOpts{MaxAttempts: 3, Metadata: []byte(metadata)})
	var want []job.Job
	look := func() {
		j, err := b.db.Job(t.Context(), heraldriver.JobID(schema, row))
		b.must(err)
		want = append(want, plain(j))
	}
	look()
	b.fetch()
	look()
	b.exec(`UPDATE shop.river_job SET state = 'retryable', scheduled_at = now() + interval '1 hour',
		errors = ARRAY[jsonb_build_object('attempt', attempt, 'error', E'it "broke"\n\t\\ here')]`)
	look()
	b.exec(`UPDATE shop.river_job SET state = 'cancelled', finalized_at = now()`)
	look()
	b.drain()

	rows, err := b.pool.Query(t.Context(), `SELECT payload::text FROM herald.events ORDER BY seq`)
	b.must(err)
	defer rows.Close()
	var got []job.Job
	for rows.Next() {
		var payload string
		var j job.Job
		b.must(rows.Scan(&payload))
		b.must(json.Unmarshal([]byte(payload), &j))
		got = append(got, plain(j))
	}
	b.must(rows.Err())
	if diff := cmp.Diff(want, got, hidden()); diff != "" {
		t.Errorf("the job's row after each change, and the log: -rows +log\n%s", diff)
	}
	b.wantCount(0, "herald.outbox")
}
