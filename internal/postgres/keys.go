package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"herald/internal/event"
	"herald/internal/postgres/dbsqlc"
)

// keyUse is the use of an idempotency key for a request. The zero key is none.
type keyUse struct {
	scope       string // whose key it is: "job:UUID" or "publish:ACTOR", as in SQL
	key         string
	fingerprint []byte
}

// keyAnswer returns the answer that the key's first request got, nil when there
// was none, or event.ErrKeyReused when that was another request.
func keyAnswer(ctx context.Context, tx dbsqlc.DBTX, use keyUse) (json.RawMessage, error) {
	if use.key == "" {
		return nil, nil
	}
	row, err := dbsqlc.New(tx).KeyGet(ctx, dbsqlc.KeyGetParams{Scope: use.scope, Key: use.key})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look an idempotency key up: %w", err)
	case !bytes.Equal(row.Fingerprint, use.fingerprint):
		return nil, event.ErrKeyReused
	}
	return row.Answer, nil
}

// takeKey keeps the answer under the key and returns nil, or returns what
// keyAnswer does when another transaction was faster, for which it waits.
func (db *DB) takeKey(ctx context.Context, tx dbsqlc.DBTX, use keyUse, answer any) (json.RawMessage, error) {
	if use.key == "" {
		return nil, nil
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encode an answer: %w", err)
	}
	taken, err := dbsqlc.New(tx).KeyInsert(ctx, dbsqlc.KeyInsertParams{
		Scope: use.scope, Key: use.key, Fingerprint: use.fingerprint, Answer: text, LifetimeS: db.keyLifetime.Seconds(),
	})
	if err != nil {
		return nil, fmt.Errorf("keep an idempotency key: %w", err)
	}
	if taken == 1 {
		return nil, nil
	}
	return keyAnswer(ctx, tx, use) // the row is locked since the insert met it, so it is there
}
