package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"herald/internal/event"
	"herald/internal/presence"
)

// receiptStreams are those that an event was to come to: see receipt.Event.Concerns.
// They are found by topic, live and past, each by an index of its own.
const receiptStreams = `SELECT ` + connectionColumns + ` FROM herald.connections WHERE id IN (
    SELECT id FROM herald.connections WHERE topics && $1::text[] AND closed_at IS NULL AND opened_seq < $2
    UNION ALL
    SELECT id FROM herald.connections WHERE topics && $1::text[] AND closed_at IS NOT NULL AND opened_seq < $2
        AND (written_seq >= $2 OR closed_at >= $3)
) AND id < $4 AND ($5::text = '' OR user_id = $5) ORDER BY id DESC LIMIT $6`

// StreamsOf lists the streams that an event was to come to, newest first: after one,
// when that is not zero, and of one user, when that is not empty.
func (db *DB) StreamsOf(ctx context.Context, e event.Event, user string, before uuid.UUID, limit int) ([]presence.Connection, error) {
	if before == uuid.Nil {
		before = uuid.Max
	}
	list, err := db.connections(ctx, receiptStreams, texts(e.Topics), int64(e.Seq), e.RecordedAt, before, user, limit)
	if err != nil {
		return nil, fmt.Errorf("list the streams of event %d: %w", e.Seq, err)
	}
	return list, nil
}

// streamsSince are users' streams that had not ended at a moment.
const streamsSince = `SELECT ` + connectionColumns + ` FROM herald.connections
WHERE user_id = ANY ($1::text[]) AND (closed_at IS NULL OR closed_at >= $2) ORDER BY id LIMIT $3`

// StreamsSince lists users' streams that had not ended at the moment, oldest first.
func (db *DB) StreamsSince(ctx context.Context, users []string, moment time.Time, limit int) ([]presence.Connection, error) {
	list, err := db.connections(ctx, streamsSince, users, moment, limit)
	if err != nil {
		return nil, fmt.Errorf("list users' streams: %w", err)
	}
	return list, nil
}

// ConnectionAge is how long past connections are remembered.
func (db *DB) ConnectionAge() time.Duration { return db.connectionAge }
