package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"herald/migrations"
)

// migrationsTable is where goose keeps which steps were taken; not its default
// name, so that Herald can live in a database that another program migrates.
const migrationsTable = "herald_migrations"

// lockTries is how many seconds a process waits for another one that migrates.
const lockTries = 300

// Migrate brings the schema of the database at the URL up to this program's
// version. Any number of processes may call it at once: one works, the others
// wait for it.
func Migrate(ctx context.Context, url string) error {
	return withMigrations(ctx, url, func(p *goose.Provider) error {
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("migrate the database: %w", err)
		}
		return nil
	})
}

// ErrOldSchema is returned for a database whose schema is missing, or of an
// earlier version than this program.
var ErrOldSchema = errors.New("the database's schema is missing or older than this program: run 'herald migrate'")

// CheckSchema returns ErrOldSchema unless the schema of the database at the URL is
// up to this program's version.
func CheckSchema(ctx context.Context, url string) error {
	return withMigrations(ctx, url, func(p *goose.Provider) error {
		pending, err := p.HasPending(ctx)
		if err == nil && pending {
			err = ErrOldSchema
		}
		return err
	})
}

// MigrateDown takes every step back, and with them all data.
func MigrateDown(ctx context.Context, url string) error {
	return withMigrations(ctx, url, func(p *goose.Provider) error {
		if _, err := p.DownTo(ctx, 0); err != nil {
			return fmt.Errorf("migrate the database down: %w", err)
		}
		return nil
	})
}

// withMigrations holds a lock that a session has, so it needs one.
func withMigrations(ctx context.Context, url string, run func(*goose.Provider) error) error {
	if _, err := checkSession(ctx, url); errors.Is(err, errPooler) {
		return fmt.Errorf("%w; set HERALD_DIRECT_DATABASE_URL to the address of the same database past it", err)
	} else if err != nil {
		return err
	}
	config, err := poolConfig(url)
	if err != nil {
		return err
	}
	// A role that is called herald would otherwise look into the schema of that
	// name first, once there is one, and not find goose's table.
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := configure(ctx, conn); err != nil {
			return err
		}
		return set(ctx, conn, map[string]string{"search_path": "public"})
	}
	pool, err := connectPool(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close() //nolint:errcheck // it only gives connections back to the pool
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, lockTries))
	if err != nil {
		return fmt.Errorf("make the migrations' lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files,
		goose.WithTableName(migrationsTable), goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(migrations.Queue(pool)))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	return run(provider)
}
