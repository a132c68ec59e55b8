package eventlog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/eventlog"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// postgresGround is Postgres itself. Its writers are REPEATABLE READ
// transactions.
type postgresGround struct {
	*postgres.DB
	t      *testing.T
	url    string
	writer *pgx.Conn
	ears   *pgx.Conn // hears every ring
	hands  *pgx.Conn // for all else that is done to it
}

func newPostgresGround(t *testing.T) *postgresGround {
	t.Helper()
	g := &postgresGround{t: t, url: pgtest.New(t)}
	db, err := postgres.Open(t.Context(), g.url, postgres.Config{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	g.DB, g.writer, g.ears, g.hands = db, g.connect(), g.connect(), g.connect()
	if err := execute(g.ears, "LISTEN herald_bell; LISTEN sentinel"); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *postgresGround) connect() *pgx.Conn {
	g.t.Helper()
	conn, err := pgx.Connect(g.t.Context(), g.url)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(conn *pgx.Conn, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := conn.Exec(ctx, sql)
	return err
}

func (g *postgresGround) snapshot() (transaction, error) {
	return g, execute(g.writer, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM herald.events")
}

func (g *postgresGround) put() error {
	return execute(g.writer, `INSERT INTO herald.outbox (event_id, type, topics, payload)
		VALUES (gen_random_uuid(), 'notification.test', '{all}', '{}')`)
}

// end commits, and hears whether that rang: notifications come in the order of
// commits, so the one that is sent afterwards comes afterwards.
func (g *postgresGround) end() (rang bool, err error) {
	if err := errors.Join(execute(g.writer, "COMMIT"), execute(g.hands, "NOTIFY sentinel")); err != nil {
		return false, err
	}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		note, err := g.ears.WaitForNotification(ctx)
		cancel()
		switch {
		case err != nil:
			return false, err
		case note.Channel == "sentinel":
			return rang, nil
		}
		rang = true
	}
}

func (g *postgresGround) length() (int, error) {
	_, head, err := g.Bounds(context.Background())
	return int(head), err
}

func (g *postgresGround) ring() error { return execute(g.hands, "NOTIFY herald_bell") }

func (g *postgresGround) readFlagUnderMVCC() error {
	return execute(g.hands, `CREATE TABLE public.flag AS SELECT TRUE AS armed;
		CREATE OR REPLACE FUNCTION herald.ring() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
		    IF (SELECT armed FROM public.flag) THEN PERFORM pg_notify('herald_bell', ''); END IF;
		    RETURN NULL;
		END $$`)
}

func (g *postgresGround) setFlag(armed bool) error {
	sql := "UPDATE public.flag SET armed = FALSE"
	if armed {
		sql = "UPDATE public.flag SET armed = TRUE"
	}
	return execute(g.hands, sql)
}

// armInOneStatement has the statement wait for a lock in its middle.
func (g *postgresGround) armInOneStatement(between func()) (eventlog.XID, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := execute(g.hands, "SELECT pg_advisory_lock(1)"); err != nil {
		return 0, err
	}
	conn, err := pgx.Connect(ctx, g.url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	var barrier uint64
	done := make(chan error, 1)
	go func() {
		done <- conn.QueryRow(ctx, `SELECT x FROM (SELECT pg_current_xact_id() AS x, pg_advisory_xact_lock(1),
			setval('herald.bell', 1, TRUE) OFFSET 0) s`).Scan(&barrier)
	}()
	for waiting := false; err == nil && !waiting; {
		err = g.hands.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 1)`).
			Scan(&waiting)
	}
	between()
	err = errors.Join(err, execute(g.hands, "SELECT pg_advisory_unlock(1)"))
	return eventlog.XID(barrier), errors.Join(err, <-done)
}
