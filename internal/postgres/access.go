package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"herald/internal/auth"
	"herald/internal/event"
)

// RecordAccess puts it into the outbox that somebody has read what belongs to
// another. It is durable when this returns.
func (db *DB) RecordAccess(ctx context.Context, a auth.Access) error {
	payload, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode an access: %w", err)
	}
	e := event.Pending{
		ID: uuid.Must(uuid.NewV7()), Type: event.AccessRead, Topics: []event.Topic{auth.AuditTopic}, Actor: a.Reader, Payload: payload,
	}
	if err := e.Check(); err != nil {
		return fmt.Errorf("record an access: %w", err)
	}
	if _, err := db.PublishOne(ctx, event.Submission{Actor: e.Actor, Events: []event.Pending{e}}); err != nil {
		return fmt.Errorf("record an access: %w", err)
	}
	return nil
}
