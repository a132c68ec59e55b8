package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/doctor"
	"herald/internal/postgres/dbsqlc"
	"herald/migrations"
)

// NodeConnections is how many connections a node holds at most, besides one for
// each export that it runs: the pool, the sequencer's session and the listener.
const NodeConnections = defaultConns + 2

// Examiner looks at a database for the doctor. It opens a connection for each
// look and writes nothing.
type Examiner struct{ url, direct string }

// NewExaminer returns an Examiner of the database at the URL; direct leads past any
// transaction pooler.
func NewExaminer(url, direct string) Examiner { return Examiner{url, direct} }

// stateQuery reads how the server is. Its settings are those of this role in this
// database. The leader is who holds the sequencer's lock, whose number Postgres
// shows in two halves.
const stateQuery = `SELECT current_setting('server_version_num')::int, current_database()::text, current_user::text,
    pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean,
    array(SELECT name FROM unnest('{fsync,full_page_writes,synchronous_commit}'::text[]) name WHERE current_setting(name) = 'off'),
    clock_timestamp(), EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'herald' AND c.relname = 'outbox'),
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
    (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
    EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid::bigint << 32 | objid::bigint = $1)`

// lackingQuery lists what the role needs and may not do: to make Herald's schemas;
// or, when they are there, to use them and their tables, and to own the log, whose
// partitions come and go.
const lackingQuery = `WITH schemas AS (
    SELECT oid, nspname::text AS name FROM pg_namespace WHERE nspname IN ('herald', $1)
), tables AS (
    SELECT c.oid, c.relowner, s.name || '.' || c.relname AS name FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
)
SELECT 'CREATE on database ' || current_database() WHERE NOT EXISTS (SELECT FROM schemas)
    AND NOT has_database_privilege(current_database(), 'CREATE')
UNION ALL SELECT p || ' on schema ' || name FROM schemas, unnest('{USAGE,CREATE}'::text[]) p
    WHERE NOT has_schema_privilege(oid, p) AND (p = 'USAGE' OR name = 'herald')
UNION ALL SELECT 'SELECT, INSERT, UPDATE, DELETE on table ' || name FROM tables
    WHERE NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
        AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
UNION ALL SELECT 'ownership of table ' || name FROM tables
    WHERE name IN ('herald.events', 'herald.outbox') AND NOT pg_has_role(relowner, 'USAGE')
LIMIT 8`

// State is how the server and Herald's place in it are.
func (e Examiner) State(ctx context.Context) (s doctor.State, err error) {
	err = connected(ctx, e.url, func(conn *pgx.Conn) error {
		asked := time.Now()
		var clock time.Time
		err := conn.QueryRow(ctx, stateQuery, int64(leaderLock)).Scan(
			&s.Version, &s.Database, &s.Role, &s.ReadOnly, &s.Off, &clock, &s.Schema, &s.Connections, &s.Used, &s.Leads)
		if err != nil {
			return fmt.Errorf("look at the server: %w", err)
		}
		s.Unsure = time.Since(asked) / 2
		s.Ahead = clock.Sub(asked.Add(s.Unsure))
		rows, err := conn.Query(ctx, lackingQuery, migrations.QueueSchema)
		if err == nil {
			s.Lacking, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			return fmt.Errorf("look at the role's rights: %w", err)
		}
		return nil
	})
	return s, err
}

// SchemaIsCurrent reports whether the schema, which is there, is this program's.
func (e Examiner) SchemaIsCurrent(ctx context.Context) (bool, error) {
	err := CheckSchema(ctx, e.direct)
	if errors.Is(err, ErrOldSchema) {
		return false, nil
	}
	return err == nil, err
}

// Backlog looks at what waits in the outbox.
func (e Examiner) Backlog(ctx context.Context) (n int, oldest time.Duration, err error) {
	err = connected(ctx, e.url, func(conn *pgx.Conn) error {
		row, err := dbsqlc.New(conn).OutboxBacklog(ctx, mostCounted)
		if err != nil {
			return fmt.Errorf("look at the outbox: %w", err)
		}
		n, oldest = int(row.Waiting), time.Duration(max(row.OldestS, 0)*float64(time.Second))
		return nil
	})
	return n, oldest, err
}

// CheckSession returns an error unless the direct address leads to sessions of the
// database that the other one leads to.
func (e Examiner) CheckSession(ctx context.Context) error {
	here, err := checkSession(ctx, e.direct)
	if err != nil || e.direct == e.url {
		return err
	}
	return connected(ctx, e.url, func(conn *pgx.Conn) error {
		there, err := placeOf(ctx, conn)
		if err == nil && (here.database != there.database || !here.serverAge.Equal(there.serverAge)) {
			err = errors.New("the direct address leads to another database than the database's address")
		}
		return err
	})
}
