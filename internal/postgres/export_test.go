package postgres

import (
	"context"
	"testing"

	"github.com/pressly/goose/v3"

	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres/dbsqlc"
)

// LeadAnyway is Lead without the lock: what should never happen.
func LeadAnyway(t *testing.T, db *DB) eventlog.Session {
	t.Helper()
	s, err := db.leaderSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// MigrateTo takes steps, up or down, until the schema is at the version.
func MigrateTo(ctx context.Context, url string, version int64) error {
	return withMigrations(ctx, url, func(p *goose.Provider) error {
		at, err := p.GetDBVersion(ctx)
		if err == nil && at < version {
			_, err = p.UpTo(ctx, version)
		} else if err == nil {
			_, err = p.DownTo(ctx, version)
		}
		return err
	})
}

// ExplainHistoryIn is ExplainHistory, with the plan made in the mode.
func ExplainHistoryIn(ctx context.Context, db *DB, q event.Query, mode string) (string, error) {
	return db.explainHistory(ctx, q, mode)
}

// Pipeline is a transaction of few round trips.
type Pipeline = pipeline

// Later has statements wait in it.
func Later(tx dbsqlc.DBTX) dbsqlc.DBTX { return later(tx) }

// InPipeline runs the function in one.
func (db *DB) InPipeline(ctx context.Context, run func(tx *Pipeline) error) error {
	return db.inPipeline(ctx, run)
}
