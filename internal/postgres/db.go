// Package postgres is the database: the only package with SQL in it. Each
// method of DB is one thing done to it, in one transaction. Methods that end in
// Tx do it in the caller's transaction instead.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"herald/internal/postgres/dbsqlc"
)

// DB is the database: a method for each thing done to it, each in one
// transaction. It is safe for concurrent use.
type DB struct {
	pool        *pgxpool.Pool
	sessions    *pgxpool.Pool // past any transaction pooler; the pool itself where there is none
	url         string        // for connections of their own: the sequencer's session and listeners
	partition   int64
	keyLifetime time.Duration // of idempotency keys
	// connectionAge is how long past connections are kept.
	connectionAge time.Duration
}

// Config is how a DB uses its server.
type Config struct {
	Partition   int64         // events in each partition of the log made from now on; default 1,000,000
	MaxConns    int32         // connections in the pool; default 16
	Direct      string        // a URL that leads past any transaction pooler, for sessions; default the URL itself
	KeyLifetime time.Duration // how long an idempotency key is remembered; default 24 hours

	ConnectionAge time.Duration // how long a connection is remembered after its end; default 30 days
}

// defaultConns is how many connections a pool has, and sessionConns how many a
// pool of sessions has beside it.
const defaultConns, sessionConns = 16, 4

// Open connects to the database at the URL and checks that it answers.
func Open(ctx context.Context, url string, config Config) (*DB, error) {
	if config.Direct == "" {
		config.Direct = url
	}
	pool, sessions, err := openPools(ctx, url, config)
	if err != nil {
		return nil, err
	}
	if config.Partition <= 0 {
		config.Partition = 1_000_000
	}
	if config.KeyLifetime <= 0 {
		config.KeyLifetime = 24 * time.Hour
	}
	if config.ConnectionAge <= 0 {
		config.ConnectionAge = 30 * 24 * time.Hour
	}
	return &DB{
		pool: pool, sessions: sessions, url: config.Direct, partition: config.Partition, keyLifetime: config.KeyLifetime, connectionAge: config.ConnectionAge,
	}, nil
}

// openPools opens the pool, and one of sessions when another address leads to them.
// That one connects when it is first used.
func openPools(ctx context.Context, url string, config Config) (pool, sessions *pgxpool.Pool, err error) {
	pc, err := poolConfig(url)
	if err != nil {
		return nil, nil, err
	}
	pc.MaxConns = defaultConns
	if config.MaxConns > 0 {
		pc.MaxConns = config.MaxConns
	}
	if config.Direct != url {
		throughPooler(pc)
	}
	if pool, err = connectPool(ctx, pc); err != nil || config.Direct == url {
		return pool, pool, err
	}
	if pc, err = poolConfig(config.Direct); err == nil {
		pc.MaxConns = sessionConns
		sessions, err = pgxpool.NewWithConfig(ctx, pc)
	}
	if err != nil {
		pool.Close()
	}
	return pool, sessions, err
}

// connectPool opens a pool and checks that the database answers.
func connectPool(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return pool, nil
}

// Close gives all connections back. It waits for calls under way.
func (db *DB) Close() {
	db.pool.Close()
	db.sessions.Close()
}

// Pool is the pool itself, for the queue, which brings SQL of its own.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Sessions is a pool whose connections are sessions, even where a transaction pooler
// stands before the database, for the queue's workers, who LISTEN. It may be small.
func (db *DB) Sessions() *pgxpool.Pool { return db.sessions }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// poolConfig reads a URL. Its error never contains the password.
func poolConfig(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database's URL: %w", err)
	}
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ConnConfig.DialFunc = newDialer().DialContext
	config.ConnConfig.RuntimeParams["application_name"] = "herald"
	config.AfterConnect = configure
	return config, nil
}

// settings are those of every connection. Statements are short and always the
// same: to compile one, or to plan it anew over all partitions of the log, takes
// longer than to run it. A client that the network no longer leads to is given
// up by the server too, and its locks with it. Readers look at the log's floor
// after the log, which takes a later snapshot. They are set by statements, since a
// pooler takes few settings when a connection is made.
const settings = `SET jit = off; SET plan_cache_mode = force_generic_plan; SET tcp_keepalives_idle = 3;
SET default_transaction_isolation = 'read committed'; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 5000`

// registerTypes makes times come in UTC.
func registerTypes(conn *pgx.Conn) {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
}

// configure makes a new connection as all are.
func configure(ctx context.Context, conn *pgx.Conn) error {
	registerTypes(conn)
	if _, err := conn.Exec(ctx, settings); err != nil {
		return fmt.Errorf("configure a connection: %w", err)
	}
	return nil
}

// session opens a connection outside the pool, for what holds one for long.
// The parameters are the connection's own.
func (db *DB) session(ctx context.Context, parameters map[string]string) (*pgx.Conn, error) {
	config, err := poolConfig(db.url)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if err := errors.Join(configure(ctx, conn), set(ctx, conn, parameters)); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return conn, nil
}

// set sets parameters for as long as the connection lasts.
func set(ctx context.Context, conn *pgx.Conn, parameters map[string]string) error {
	for name, value := range parameters {
		if _, err := conn.Exec(ctx, "SELECT set_config($1, $2, false)", name, value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// Session opens a connection of its own for LISTEN. The caller closes it.
func (db *DB) Session(ctx context.Context) (*pgx.Conn, error) { return db.session(ctx, nil) }

// queries runs generated queries outside a transaction.
func (db *DB) queries() *dbsqlc.Queries { return dbsqlc.New(db.pool) }

// inTx runs the function in a transaction, which ends with it.
func (db *DB) inTx(ctx context.Context, run func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.pool, run)
}

// notFound turns pgx's word for no row into one that says what was not found.
func notFound(err, what error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return what
	}
	return err
}
