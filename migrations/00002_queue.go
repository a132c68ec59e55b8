package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// queueVersion is the version of River's schema that this step brings. A later
// one comes as a step of its own.
const queueVersion = 8

// Queue returns the step that brings River's schema. It runs outside goose's
// transaction, since one of River's steps adds a value to an enum and the next
// one uses it, so the pool needs a second connection.
func Queue(pool *pgxpool.Pool) *goose.Migration {
	up := func(ctx context.Context, _ *sql.DB) error {
		if _, err := pool.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+QueueSchema); err != nil {
			return fmt.Errorf("create schema %s: %w", QueueSchema, err)
		}
		return migrateQueue(ctx, pool, rivermigrate.DirectionUp, queueVersion)
	}
	down := func(ctx context.Context, _ *sql.DB) error {
		if err := migrateQueue(ctx, pool, rivermigrate.DirectionDown, -1); err != nil {
			return err
		}
		_, err := pool.Exec(ctx, "DROP SCHEMA "+QueueSchema)
		return err
	}
	return goose.NewGoMigration(2, &goose.GoFunc{RunDB: up}, &goose.GoFunc{RunDB: down})
}

func migrateQueue(ctx context.Context, pool *pgxpool.Pool, direction rivermigrate.Direction, target int) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: QueueSchema})
	if err != nil {
		return fmt.Errorf("read the queue's migrations: %w", err)
	}
	_, err = migrator.Migrate(ctx, direction, &rivermigrate.MigrateOpts{TargetVersion: target})
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("migrate the queue's schema: %w", err)
	}
	return err
}
