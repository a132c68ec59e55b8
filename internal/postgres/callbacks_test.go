package postgres_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/job"
	"herald/internal/postgres"
)

// sent is a callback that waits in River's queue.
type sent struct {
	ID    string    `json:"id"`
	JobID uuid.UUID `json:"job_id"`
	URL   string    `json:"url"`
	Told  string    `json:"told"`
	Body  string    `json:"body"`
}

// callbacks are those in the queue, in the order of their making.
func callbacks(t *testing.T, db *postgres.DB) []sent {
	t.Helper()
	rows, err := db.Pool().Query(t.Context(), `SELECT args FROM herald_queue.river_job
		WHERE kind = 'callback' AND queue = 'errands' AND state = 'available' AND max_attempts = 12 ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[sent])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// begun is a job under way that runs elsewhere.
func begun(t *testing.T, db *postgres.DB, url string) job.Job {
	t.Helper()
	j, err := db.CreateJob(t.Context(), job.New{
		Kind: "test", Owner: "demo", Title: "ünï<&>", CallbackURL: url, External: true, Begin: &job.Claim{By: "robot"},
	}, &queue{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// However a job ends, its callback is enqueued with its end: once for each end,
// and not for one that is taken back.
func TestCallbacksAreEnqueuedWithTheEnd(t *testing.T) {
	t.Parallel()
	db := open(t)
	const url = "https://example.org/hook?token=x"
	inGo, inSQL, cancelled, silent := begun(t, db, url), begun(t, db, url), begun(t, db, url), begun(t, db, "")
	success := job.Report{Attempt: 1, State: job.Succeeded, Result: json.RawMessage(`{"rows":7}`)}
	takenBack := errors.New("taken back")
	err := pgx.BeginFunc(t.Context(), db.Pool(), func(tx pgx.Tx) error {
		if _, err := db.RecordReportTx(t.Context(), tx, inGo.ID, success); err != nil {
			return err
		}
		return takenBack
	})
	if list := callbacks(t, db); len(list) != 0 || !errors.Is(err, takenBack) {
		t.Fatalf("an end that was taken back (%v) has %v, want no callback", err, list)
	}
	if _, err := db.RecordReport(t.Context(), inGo.ID, job.Report{Attempt: 1, Message: "half"}); err != nil {
		t.Fatal(err)
	}
	out, err := db.RecordReport(t.Context(), inGo.ID, success)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().Exec(t.Context(), `SELECT herald.report($1, 1, 'failed', error => 'it broke')`, inSQL.ID); err != nil {
		t.Fatal(err)
	}
	for _, end := range []func() error{
		func() error { _, err := db.CancelJob(t.Context(), cancelled.ID, "demo", &queue{}); return err },
		func() error {
			_, err := db.RecordReport(t.Context(), cancelled.ID, job.Report{Attempt: 1, State: job.Cancelled})
			return err
		},
		func() error { _, err := db.RecordReport(t.Context(), silent.ID, success); return err },
		func() error { _, err := db.RecordReport(t.Context(), inGo.ID, success); return err }, // too late
		func() error { _, err := db.RetryJob(t.Context(), inSQL.ID, "demo", &queue{}); return err },
		func() error { _, err := db.CancelJob(t.Context(), inSQL.ID, "demo", &queue{}); return err },
	} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	list := callbacks(t, db)
	var told []string
	ids := map[string]bool{}
	for _, c := range list {
		told = append(told, c.Told)
		ids[c.ID] = true
	}
	if diff := cmp.Diff([]string{"job.succeeded", "job.failed", "job.cancelled", "job.cancelled"}, told); diff != "" || len(ids) != 4 {
		t.Errorf("callbacks with the ids %v: -want +got:\n%s", ids, diff)
	}
	var said struct {
		Type string  `json:"type"`
		Data job.Job `json:"data"`
	}
	if err := json.Unmarshal([]byte(list[0].Body), &said); err != nil || said.Type != "job.succeeded" || list[0].URL != url || list[0].JobID != inGo.ID {
		t.Errorf("the callback is %+v, %v", list[0], err)
	}
	told0, err := json.Marshal(said.Data)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := json.Marshal(out.Job)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(recorded), string(told0)); diff != "" {
		t.Errorf("what is told of the job: -recorded +told:\n%s", diff)
	}
	if waiting, givenUp, _, err := db.Callbacks(t.Context()); waiting != 4 || givenUp != 0 || err != nil {
		t.Errorf("Callbacks() = %d waiting, %d given up, %v; want 4 and none", waiting, givenUp, err)
	}
}
