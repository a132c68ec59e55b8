package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"herald/internal/event"
	"herald/internal/job"
	"herald/internal/postgres"
)

// The kinds of refusal, as SQL says them.
const (
	invalidInput = "ZH001"
	unknownJob   = "ZH002"
	wrongState   = "ZH003"
	keyReused    = "ZH004"
)

// querier is a pool, a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// sqlReport calls herald.report.
func sqlReport(ctx context.Context, q querier, id uuid.UUID, r job.Report) (job.Answer, error) {
	var left *int64
	if r.Remaining != nil {
		left = new(r.Remaining.Milliseconds())
	}
	var within *int64
	if r.NextWithin != nil {
		within = new(r.NextWithin.Milliseconds())
	}
	var text string
	err := q.QueryRow(ctx, `SELECT herald.report($1, $2, state => $3, progress => $4, step => $5, step_progress => $6,
		processed => $7, total => $8, unit => $9, message => $10, details => $11, remaining_ms => $12, error => $13,
		retry_at => $14, unblamed => $15, result => $16, idempotency_key => $17, metadata => $18,
		next_within_ms => $19)::text`,
		id, r.Attempt, said(string(r.State)), r.Progress, said(r.Step), r.StepProgress, r.Processed, r.Total, said(r.Unit),
		said(r.Message), said(string(r.Details)), left, said(r.Error), r.RetryAt, r.Unblamed, said(string(r.Result)), said(r.Key), said(string(r.Metadata)), within,
	).Scan(&text)
	if err != nil {
		return job.Answer{}, err
	}
	var a job.Answer
	return a, json.Unmarshal([]byte(text), &a)
}

// sqlPublish calls herald.publish.
func sqlPublish(ctx context.Context, q querier, p event.Publication) (uuid.UUID, error) {
	n := p.Notices[0]
	var id uuid.UUID
	err := q.QueryRow(ctx, `SELECT (herald.publish($1::text[], $2, $3, actor => $4, idempotency_key => $5) ->> 'event_id')::uuid`,
		n.Topics, n.Type, said(string(n.Payload)), p.Actor, said(p.Key)).Scan(&id)
	return id, err
}

// said is NULL for what says nothing.
func said(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// kindOf is the kind of the refusal, from Go or from SQL, and the field or
// argument that it is about, where that is known.
func kindOf(t interface{ Fatalf(string, ...any) }, err error) (kind, field string) {
	var (
		invalid    *job.InvalidError
		transition *job.TransitionError
		refused    *pgconn.PgError
	)
	switch {
	case err == nil:
		return "", ""
	case errors.As(err, &invalid):
		return invalidInput, invalid.Field
	case errors.As(err, &transition):
		return wrongState, "state"
	case errors.Is(err, job.ErrNotFound):
		return unknownJob, "job"
	case errors.Is(err, event.ErrKeyReused):
		return keyReused, "idempotency_key"
	case errors.Is(err, event.ErrTopic):
		return invalidInput, "topics"
	case errors.Is(err, event.ErrType):
		return invalidInput, "type"
	case errors.Is(err, event.ErrActor):
		return invalidInput, "actor"
	case errors.Is(err, event.ErrKey):
		return invalidInput, "idempotency_key"
	case errors.Is(err, event.ErrPayload):
		return invalidInput, "payload"
	case errors.As(err, &refused) && (refused.Code == "22021" || refused.Code == "22P02"):
		return invalidInput, "" // Postgres itself does not take the text as a text, or as JSON
	case errors.As(err, &refused) && refused.Code[:2] == "ZH":
		if refused.Hint == "" {
			t.Fatalf("%v has no hint", err)
		}
		return refused.Code, refused.ColumnName
	}
	t.Fatalf("%v is not typed", err)
	return "", ""
}

// outboxed counts the events in the outbox.
func outboxed(t *testing.T, q querier) int {
	t.Helper()
	return count(t, q, "SELECT count(*) FROM herald.outbox")
}

func count(t *testing.T, q querier, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := q.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func execute(t *testing.T, q querier, sql string, args ...any) {
	t.Helper()
	if _, err := q.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// begin begins a transaction, which ends with the test at the latest.
func begin(t *testing.T, db *postgres.DB, level pgx.TxIsoLevel) pgx.Tx {
	t.Helper()
	tx, err := db.Pool().BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	return tx
}

func notice(text string) event.Publication {
	return event.Publication{Actor: "shop", Notices: []event.Notice{{
		Type: "order.paid", Topics: []event.Topic{"user:alice"}, Payload: json.RawMessage(`{"text":"` + text + `"}`),
	}}}
}
