package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres/dbsqlc"
)

// publishAnswer is what a publication is answered with, and what is kept under
// its key; herald.publish in SQL keeps the same.
type publishAnswer struct {
	EventIDs []uuid.UUID `json:"event_ids"`
}

// Publish puts a publication's events into the outbox, all or none, in their
// order, and returns their ids; for a key that was seen, those of the first
// time. The error is one of event.Publication.Events or event.ErrKeyReused, and
// nothing was written then.
func (db *DB) Publish(ctx context.Context, p event.Publication) (event.Published, error) {
	s, err := p.Submission()
	if err != nil {
		return event.Published{}, err
	}
	return db.PublishOne(ctx, s)
}

// PublishOne is Publish of a publication that was checked.
func (db *DB) PublishOne(ctx context.Context, s event.Submission) (event.Published, error) {
	results, err := db.publish(ctx, db.pool, []event.Submission{s}, 0)
	if err != nil {
		return event.Published{}, err
	}
	return results[0].Published, results[0].Err
}

// PublishTx is Publish in the caller's transaction, which is fit for use after
// one of those errors. What is above READ COMMITTED also gets Postgres' 40001
// when the key was taken since its snapshot; it is then to be tried again as a
// whole.
func (db *DB) PublishTx(ctx context.Context, tx pgx.Tx, p event.Publication) (event.Published, error) {
	s, err := p.Submission()
	if err != nil {
		return event.Published{}, err
	}
	results, err := db.publish(ctx, tx, []event.Submission{s}, 0)
	if err != nil {
		return event.Published{}, err
	}
	return results[0].Published, results[0].Err
}

// lockNotAvailable is Postgres' word for a lock that was not waited for any
// longer.
const lockNotAvailable = "55P03"

// groupPatience is how long a group waits for a lock, such as that on a key
// which a transaction of somebody else's has taken and not committed.
const groupPatience = 100 * time.Millisecond

// PublishGroup publishes several publications in one transaction, each with a
// result of its own; no two have the same actor and key. The error is
// eventlog.ErrApart when nothing was written because of one of them, which is
// left to be found by publishing each by itself.
func (db *DB) PublishGroup(ctx context.Context, group []event.Submission) ([]eventlog.Result, error) {
	results, err := db.publish(ctx, db.pool, group, groupPatience)
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && len(group) > 1:
		return nil, fmt.Errorf("%w: %w", eventlog.ErrApart, err)
	case ok && refused.Code == lockNotAvailable:
		return nil, fmt.Errorf("%w: %w", eventlog.ErrLocked, err)
	}
	return results, err
}

// eventInsert puts the events of publications into the outbox, in order.
const eventInsert = `
    INSERT INTO herald.outbox (event_id, type, topics, actor, payload)
    SELECT e.id, e.type, string_to_array(e.topics, ','), ($1::text[])[e.place], e.payload::json
    FROM unnest($2::integer[], $3::uuid[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
        AS e (place, id, type, topics, payload, nth)`

// unkeyedInsert is for publications without keys: what keyedInsert does besides
// takes Postgres 0.1 to 0.2 ms, also when there is no key to take.
const unkeyedInsert = eventInsert + `
    ORDER BY e.nth`

// keyedInsert takes the keys of publications, and puts into the outbox the
// events of those whose keys were free, in order; it returns the places of the
// others. Keys are taken in their order, so that no two groups wait for each
// other. The patience stands before the locks, for this transaction alone; empty,
// it stays what it is.
const keyedInsert = `
WITH patience AS MATERIALIZED (
    SELECT set_config('lock_timeout', coalesce(nullif($7, ''), current_setting('lock_timeout')), TRUE) AS set
), asked AS MATERIALIZED (
    SELECT a.* FROM patience, unnest($8::integer[], $9::text[], $10::text[], $11::bytea[], $12::text[], $13::double precision[])
        AS a (place, scope, key, fingerprint, answer, lifetime_s)
    WHERE patience.set IS NOT NULL
), taken AS (
    INSERT INTO herald.idempotency_keys AS seen (scope, key, fingerprint, answer, expires_at)
    SELECT a.scope, a.key, a.fingerprint, a.answer::json, now() + make_interval(secs => a.lifetime_s)
    FROM asked a ORDER BY a.scope, a.key
    ON CONFLICT (scope, key) DO UPDATE SET
        fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at, expires_at = excluded.expires_at
    WHERE seen.expires_at <= now()
    RETURNING seen.scope, seen.key
), repeated AS MATERIALIZED (
    SELECT a.place FROM asked a WHERE NOT EXISTS (SELECT FROM taken t WHERE t.scope = a.scope AND t.key = a.key)
), inserted AS (` + eventInsert + `
    WHERE e.place NOT IN (SELECT r.place FROM repeated r)
    ORDER BY e.nth
)
SELECT place FROM repeated`

// insertion is the arguments of the statements, column by column.
type insertion struct {
	actors                  []string
	places                  []int32                       // of the events' publications, from 1 on
	ids                     pgtype.FlatArray[pgtype.UUID] // from a []uuid.UUID, pgx makes each a text, and reads it: 3 µs instead of 0.1
	types, topics, payloads []string

	keyed                 []int32 // places
	scopes, keys, answers []string
	fingerprints          [][]byte
	lifetimes             []float64
}

func (in *insertion) add(s event.Submission, lifetime time.Duration) error {
	in.actors = append(in.actors, s.Actor)
	place := int32(len(in.actors))
	if s.Key != "" {
		answer, err := json.Marshal(publishAnswer{EventIDs: s.IDs()})
		if err != nil {
			return fmt.Errorf("encode an answer: %w", err)
		}
		in.keyed = append(in.keyed, place)
		in.scopes = append(in.scopes, scopeOf(s))
		in.keys = append(in.keys, s.Key)
		in.fingerprints = append(in.fingerprints, s.Fingerprint)
		in.answers = append(in.answers, string(answer))
		in.lifetimes = append(in.lifetimes, lifetime.Seconds())
	}
	for _, e := range s.Events {
		in.places = append(in.places, place)
		in.ids = append(in.ids, pgtype.UUID{Bytes: e.ID, Valid: true})
		in.types = append(in.types, string(e.Type))
		in.topics = append(in.topics, strings.Join(texts(e.Topics), ",")) // no topic has a comma
		in.payloads = append(in.payloads, string(e.Payload))
	}
	return nil
}

func scopeOf(s event.Submission) string { return "publish:" + s.Actor }

// publish publishes the group in one statement, which is a transaction of its own
// unless the caller has one.
func (db *DB) publish(ctx context.Context, to dbsqlc.DBTX, group []event.Submission, patience time.Duration) ([]eventlog.Result, error) {
	var in insertion
	results := make([]eventlog.Result, len(group))
	for i, s := range group {
		lifetime := s.KeyLife
		if lifetime <= 0 {
			lifetime = db.keyLifetime
		}
		if err := in.add(s, lifetime); err != nil {
			return nil, err
		}
		results[i].Published.IDs = s.IDs()
	}
	repeated, err := in.write(ctx, to, patience)
	if err != nil {
		return nil, fmt.Errorf("publish %d events: %w", len(in.ids), err)
	}
	for _, place := range repeated {
		results[place-1] = firstResult(ctx, to, group[place-1])
	}
	return results, nil
}

// write writes the events, and returns the places of the publications whose keys
// are not theirs. Without keys, there is no row that another transaction may hold.
func (in *insertion) write(ctx context.Context, to dbsqlc.DBTX, patience time.Duration) (repeated []int32, err error) {
	events := []any{in.actors, in.places, in.ids, in.types, in.topics, in.payloads}
	if len(in.keyed) == 0 {
		_, err := to.Exec(ctx, unkeyedInsert, events...)
		return nil, err
	}
	var wait string
	if patience > 0 {
		wait = fmt.Sprintf("%dms", patience.Milliseconds())
	}
	rows, err := to.Query(ctx, keyedInsert, append(events, wait, in.keyed, in.scopes, in.keys, in.fingerprints, in.answers, in.lifetimes)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int32])
}

// firstResult is what became of the publication whose key this one has.
func firstResult(ctx context.Context, from dbsqlc.DBTX, s event.Submission) eventlog.Result {
	row, err := dbsqlc.New(from).KeyGetTaken(ctx, dbsqlc.KeyGetTakenParams{Scope: scopeOf(s), Key: s.Key})
	var first publishAnswer
	switch {
	case err != nil:
		err = fmt.Errorf("look an idempotency key up: %w", err)
	case !bytes.Equal(row.Fingerprint, s.Fingerprint):
		err = event.ErrKeyReused
	default:
		err = json.Unmarshal(row.Answer, &first)
	}
	if err != nil {
		return eventlog.Result{Err: err}
	}
	return eventlog.Result{Published: event.Published{IDs: first.EventIDs, Repeated: true}}
}
