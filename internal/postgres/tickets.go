package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"herald/internal/auth"
	"herald/internal/postgres/dbsqlc"
)

// SaveTicket keeps the hash of a ticket of the principal's, for a while.
func (db *DB) SaveTicket(ctx context.Context, hash auth.Hash, p auth.Principal, life time.Duration) error {
	text, err := json.Marshal(p)
	if err == nil {
		err = db.queries().TicketInsert(ctx, dbsqlc.TicketInsertParams{Hash: hash[:], Principal: text, LifeS: life.Seconds()})
	}
	if err != nil {
		return fmt.Errorf("save a ticket: %w", err)
	}
	return nil
}

// TakeTicket uses a ticket up, and returns whose it is. Of all that come with it,
// on all nodes, one gets it, and the others auth.ErrBadTicket: they wait for the
// row's lock, and then there is no row.
func (db *DB) TakeTicket(ctx context.Context, hash auth.Hash) (auth.Principal, error) {
	row, err := db.queries().TicketTake(ctx, hash[:])
	if err == nil && !row.Good {
		err = auth.ErrBadTicket
	}
	var p auth.Principal
	if err == nil {
		err = json.Unmarshal(row.Principal, &p)
	}
	if err != nil {
		return auth.Principal{}, fmt.Errorf("take a ticket: %w", notFound(err, auth.ErrBadTicket))
	}
	return p, nil
}
