package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/progress"
)

// refusal is bad input, and what is to be said to it.
type refusal struct {
	name        string
	kind        string
	publication func(*event.Notice)
	report      func(*job.Report)
	unknown     bool // the job
}

func refusals() []refusal {
	payload := func(text string) func(*event.Notice) {
		return func(n *event.Notice) { n.Payload = json.RawMessage(text) }
	}
	return []refusal{
		{name: "payload not JSON", kind: invalidInput, publication: payload(`{"a":`)},
		{name: "payload over the limit", kind: invalidInput, publication: payload(`"` + strings.Repeat("x", 64<<10-1) + `"`)},
		{name: "payload with a NUL byte", kind: invalidInput, publication: payload("\"a\x00b\"")},
		{name: "payload with an escaped NUL", kind: invalidInput, publication: payload(`"a\u0000b"`)},
		{name: "topic malformed", kind: invalidInput, publication: func(n *event.Notice) { n.Topics = []event.Topic{"user:alice", "bob"} }},
		{name: "topic with a NUL byte", kind: invalidInput, publication: func(n *event.Notice) { n.Topics = []event.Topic{"user:a\x00"} }},
		{name: "10,000 topics", kind: invalidInput, publication: func(n *event.Notice) { n.Topics = make([]event.Topic, 10_000) }},
		{name: "a type of Herald's own", kind: invalidInput, publication: func(n *event.Notice) { n.Type = event.JobSucceeded }},
		{name: "unknown job", kind: unknownJob, report: func(*job.Report) {}, unknown: true},
		{name: "message with a NUL byte", kind: invalidInput, report: func(r *job.Report) { r.Message = "a\x00b" }},
		{name: "details not JSON", kind: invalidInput, report: func(r *job.Report) { r.Details = json.RawMessage(`{"a":`) }},
		{name: "details over the limit", kind: invalidInput, report: func(r *job.Report) {
			r.Details = json.RawMessage(`{"a":"` + strings.Repeat("x", 4<<10) + `"}`)
		}},
		{name: "an attempt that has not started", kind: invalidInput, report: func(r *job.Report) { r.Attempt = 2 }},
		{name: "a state that the job's own does not allow", kind: wrongState, report: func(r *job.Report) { r.State, r.Error = job.Retrying, "x" }},
		{name: "a key used for another report", kind: keyReused, report: func(r *job.Report) { r.Key, r.Message = "used", "another" }},
	}
}

// The refused call leaves no trace, and what its transaction does before and
// after it is committed.
func TestBadInputIsRefusedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db, q := open(t), &queue{}
			j := started(t, db, q, "w")
			if _, err := db.CancelJob(t.Context(), j.ID, "demo", q); err != nil {
				t.Fatal(err)
			}
			if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, Message: "first", Key: "used"}); err != nil {
				t.Fatal(err)
			}
			execute(t, db.Pool(), "CREATE TABLE work (what text)")
			before, events := stand(t, db, j), outboxed(t, db.Pool())
			byGo, bySQL := tt.calls(db, j.ID)

			refusedInTx(t, db, tt.kind, byGo, "")
			refusedInTx(t, db, tt.kind, bySQL, "SAVEPOINT s")
			if tt.publication == nil {
				_, err := db.RecordReport(t.Context(), tt.job(j.ID), tt.made())
				if kind, _ := kindOf(t, err); kind != tt.kind {
					t.Errorf("RecordReport() = %v, want %s", err, tt.kind)
				}
			}
			if diff := cmp.Diff(before, stand(t, db, j)); diff != "" {
				t.Errorf("the job: -before +after:\n%s", diff)
			}
			if n := outboxed(t, db.Pool()) - events; n != 0 {
				t.Errorf("%d events in the outbox, want none", n)
			}
			if n := count(t, db.Pool(), "SELECT count(*) FROM work"); n != 4 {
				t.Errorf("%d rows of the transactions' other work, want all 4", n)
			}
			if n := count(t, db.Pool(), "SELECT count(*) FROM herald.idempotency_keys"); n != 1 {
				t.Errorf("%d keys, want the one used before", n)
			}
		})
	}
}

// stand is the job as it stands.
func stand(t *testing.T, db *postgres.DB, j job.Job) job.Job {
	t.Helper()
	now, err := db.Job(t.Context(), j.ID)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func (tt refusal) job(known uuid.UUID) uuid.UUID {
	if tt.unknown {
		return uuid.New()
	}
	return known
}

// made is the bad report, under a key that nothing may be kept under.
func (tt refusal) made() job.Report {
	r := job.Report{Attempt: 1, Progress: new(0.5), Key: "fresh"}
	tt.report(&r)
	return r
}

// calls make the bad request in a transaction, by Go and by SQL.
func (tt refusal) calls(db *postgres.DB, id uuid.UUID) (byGo, bySQL func(context.Context, pgx.Tx) error) {
	if tt.publication != nil {
		p := notice("x")
		p.Key = "fresh"
		tt.publication(&p.Notices[0])
		return func(ctx context.Context, tx pgx.Tx) error { _, err := db.PublishTx(ctx, tx, p); return err },
			func(ctx context.Context, tx pgx.Tx) error { _, err := sqlPublish(ctx, tx, p); return err }
	}
	return func(ctx context.Context, tx pgx.Tx) error {
			_, err := db.RecordReportTx(ctx, tx, tt.job(id), tt.made())
			return err
		}, func(ctx context.Context, tx pgx.Tx) error {
			_, err := sqlReport(ctx, tx, tt.job(id), tt.made())
			return err
		}
}

// refusedInTx makes a bad request between two pieces of other work, all in one
// transaction, which commits. Go finds the fault before Postgres does, so that
// its caller needs no savepoint.
func refusedInTx(t *testing.T, db *postgres.DB, want string, call func(context.Context, pgx.Tx) error, savepoint string) {
	t.Helper()
	tx := begin(t, db, pgx.ReadCommitted)
	execute(t, tx, "INSERT INTO work VALUES ('before')")
	if savepoint != "" {
		execute(t, tx, savepoint)
	}
	err := call(t.Context(), tx)
	if kind, _ := kindOf(t, err); kind != want {
		t.Errorf("refused with %v, want %s", err, want)
	}
	if savepoint != "" {
		execute(t, tx, "ROLLBACK TO "+savepoint)
	}
	execute(t, tx, "INSERT INTO work VALUES ('after')")
	if err := tx.Commit(t.Context()); err != nil {
		t.Errorf("Commit() = %v", err)
	}
}

// A report for a finished job is not an error of the database's, or the log's
// record of it would be rolled back with the rest: it is answered as late, and
// is an error to the worker.
func TestAReportForAFinishedJobIsKeptAndChangesNothing(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "w")
	if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Succeeded}); err != nil {
		t.Fatal(err)
	}
	before, events := stand(t, db, j), outboxed(t, db.Pool())
	r := job.Report{Attempt: 1, State: job.Failed, Error: "no, it broke"}
	answer, err := sqlReport(t.Context(), db.Pool(), j.ID, r)
	if err != nil || !answer.Late || answer.State != job.Succeeded {
		t.Errorf("herald.report() = %+v, %v, want it late", answer, err)
	}
	out, err := db.RecordReport(t.Context(), j.ID, r)
	if err != nil || !out.Late || out.Job.State != job.Succeeded {
		t.Errorf("RecordReport() = %+v, %v, want it late", out, err)
	}
	if err := progress.New(db, progress.Config{}).Report(t.Context(), j.ID, r); !errors.Is(err, progress.ErrOver) {
		t.Errorf("Report() = %v, want %v", err, progress.ErrOver)
	}
	if diff := cmp.Diff(before, stand(t, db, j)); diff != "" {
		t.Errorf("the job: -before +after:\n%s", diff)
	}
	if n := count(t, db.Pool(), "SELECT count(*) FROM herald.outbox WHERE type = 'job.late_report'"); n != 3 || outboxed(t, db.Pool())-events != 3 {
		t.Errorf("%d late reports, want 3 and no other event", n)
	}
}

// An event that the log would refuse is found before the job's row is written.
func TestAnEventThatIsTooLargeLeavesTheJobAsItWas(t *testing.T) {
	t.Parallel()
	db := open(t)
	j := started(t, db, &queue{}, "w")
	execute(t, db.Pool(), `UPDATE herald.jobs SET args = json_build_object('a', repeat('x', 65536)) WHERE id = $1`, j.ID)
	before, events := stand(t, db, j), outboxed(t, db.Pool())
	r := job.Report{Attempt: 1, State: job.Succeeded}
	execute(t, db.Pool(), "CREATE TABLE work (what text)")
	refusedInTx(t, db, invalidInput, func(ctx context.Context, tx pgx.Tx) error {
		_, err := db.RecordReportTx(ctx, tx, j.ID, r)
		return err
	}, "")
	refusedInTx(t, db, invalidInput, func(ctx context.Context, tx pgx.Tx) error {
		_, err := sqlReport(ctx, tx, j.ID, r)
		return err
	}, "SAVEPOINT s")
	if diff := cmp.Diff(before, stand(t, db, j)); diff != "" || outboxed(t, db.Pool()) != events {
		t.Errorf("the job: -before +after:\n%s", diff)
	}
}
