package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/event"
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
func (db *DB) Publish(ctx context.Context, p event.Publication) ([]uuid.UUID, error) {
	events, err := p.Events()
	if err != nil {
		return nil, err
	}
	if p.Key == "" { // one statement is a transaction of its own, and saves two round trips
		return insertMany(ctx, db.queries(), p.Actor, events)
	}
	var ids []uuid.UUID
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		ids, err = db.publishTx(ctx, tx, p, events)
		return err
	})
	return ids, err
}

// PublishTx is Publish in the caller's transaction, which is fit for use after
// one of those errors. What is above READ COMMITTED also gets Postgres' 40001
// when the key was taken since its snapshot; it is then to be tried again as a
// whole.
func (db *DB) PublishTx(ctx context.Context, tx pgx.Tx, p event.Publication) ([]uuid.UUID, error) {
	events, err := p.Events()
	if err != nil {
		return nil, err
	}
	return db.publishTx(ctx, tx, p, events)
}

func (db *DB) publishTx(ctx context.Context, tx pgx.Tx, p event.Publication, events []event.Pending) ([]uuid.UUID, error) {
	use := keyUse{scope: "publish:" + p.Actor, key: p.Key}
	if p.Key != "" {
		use.fingerprint = event.FingerprintOf(events)
	}
	answer, err := db.takeKey(ctx, tx, use, publishAnswer{EventIDs: idsOf(events)})
	if err != nil {
		return nil, err
	}
	if answer == nil {
		return insertMany(ctx, dbsqlc.New(tx), p.Actor, events)
	}
	var first publishAnswer
	if err := json.Unmarshal(answer, &first); err != nil {
		return nil, fmt.Errorf("read the first answer: %w", err)
	}
	return first.EventIDs, nil
}

// insertMany puts events of one actor's into the outbox in one statement,
// however many they are, and returns their ids.
func insertMany(ctx context.Context, q *dbsqlc.Queries, actor string, events []event.Pending) ([]uuid.UUID, error) {
	params := dbsqlc.OutboxInsertManyParams{EventIds: idsOf(events), Actor: actor}
	for _, e := range events {
		params.Types = append(params.Types, string(e.Type))
		params.Topics = append(params.Topics, strings.Join(texts(e.Topics), ","))
		params.Payloads = append(params.Payloads, string(e.Payload))
	}
	if err := q.OutboxInsertMany(ctx, params); err != nil {
		return nil, fmt.Errorf("insert %d events: %w", len(events), err)
	}
	return params.EventIds, nil
}

func idsOf(events []event.Pending) []uuid.UUID {
	ids := make([]uuid.UUID, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	return ids
}
