package postgres

import (
	"context"
	"fmt"
	"time"

	"herald/internal/eventlog"
)

// Vacuum gives the room of what was taken from the outbox back to writers. It
// waits for nobody: one that is under way already does the same.
func (db *DB) Vacuum(ctx context.Context) error {
	if _, err := db.pool.Exec(ctx, "VACUUM (SKIP_LOCKED, TRUNCATE FALSE) herald.outbox"); err != nil {
		return fmt.Errorf("vacuum the outbox: %w", err)
	}
	return nil
}

// mostCounted bounds the cost of a look at the backlog.
const mostCounted = 100_000

// Backlog looks at what waits in the outbox. It counts 100,000 rows at most.
func (db *DB) Backlog(ctx context.Context) (eventlog.Backlog, error) {
	row, err := db.queries().OutboxBacklog(ctx, mostCounted)
	if err != nil {
		return eventlog.Backlog{}, fmt.Errorf("look at the outbox: %w", err)
	}
	return eventlog.Backlog{
		Rows: int(row.Waiting), Oldest: time.Duration(max(row.OldestS, 0) * float64(time.Second)),
	}, nil
}
