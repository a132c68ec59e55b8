package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// throughPooler makes a configuration fit for a transaction pooler, which gives each
// transaction any of the server's connections: what was prepared on one is not there
// on the next, and what was set stays with whoever has it next. So a statement is
// described once and sent whole each time, and the settings are the pooler's to make.
func throughPooler(config *pgxpool.Config) {
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		registerTypes(conn)
		return nil
	}
}

// connected does something on a connection of its own, which may lead through a
// transaction pooler.
func connected(ctx context.Context, url string, do func(*pgx.Conn) error) error {
	config, err := poolConfig(url)
	if err != nil {
		return err
	}
	throughPooler(config)
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	registerTypes(conn)
	return errors.Join(do(conn), conn.Close(context.WithoutCancel(ctx)))
}

// place is where a statement is run: by which process of which database.
type place struct {
	process   uint32
	database  uint32
	serverAge time.Time
}

const placeQuery = `SELECT pg_backend_pid(), (SELECT oid FROM pg_database WHERE datname = current_database()), pg_postmaster_start_time()`

// placeOf asks by a query that nothing is prepared for, since poolers lose that.
func placeOf(ctx context.Context, on interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) (p place, err error) {
	if err = on.QueryRow(ctx, placeQuery, pgx.QueryExecModeSimpleProtocol).Scan(&p.process, &p.database, &p.serverAge); err != nil {
		err = fmt.Errorf("ask which session this is: %w", err)
	}
	return p, err
}

// errPooler says that what looks like a session is none.
var errPooler = errors.New("the direct address leads to a transaction pooler: LISTEN and advisory locks, which Herald needs, do not work through it")

// checkSession returns where the address leads, and errPooler when that is a
// transaction pooler. It finds one by what it does: between transactions, it gives a
// session's process to another. So one connection looks which process it has, another
// holds a transaction, and the first looks again. Where the server said at the
// beginning which process that is, nothing stands between.
func checkSession(ctx context.Context, url string) (p place, err error) {
	err = connected(ctx, url, func(one *pgx.Conn) (err error) {
		if p, err = placeOf(ctx, one); err != nil || p.process == one.PgConn().PID() {
			return err
		}
		return connected(ctx, url, func(other *pgx.Conn) error {
			return pgx.BeginFunc(ctx, other, func(tx pgx.Tx) error {
				held, err := placeOf(ctx, tx)
				if err != nil {
					return err
				}
				after, err := placeOf(ctx, one)
				if err == nil && (after != p || held.process == p.process) {
					err = errPooler
				}
				return err
			})
		})
	})
	return p, err
}
