// Package pgtest gives each test a database of its own: a clone of one that has
// the whole schema, on a Postgres that the test binary runs, or on the server
// that HERALD_TEST_DATABASE_URL names.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"herald/internal/postgres"
	"herald/internal/postgres/embedded"
)

// Main runs a package's tests, checks that they left no goroutine behind, and
// stops the server. TestMain calls it.
func Main(m *testing.M) {
	code := m.Run()
	if err := errors.Join(shared.stop(), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// shared is the test binary's server.
var shared server //nolint:gochecknoglobals // one server for all tests of a binary

// server starts when the first test asks for a database.
type server struct {
	once     sync.Once
	err      error
	process  *embedded.Server // nil: somebody else's
	dir      string
	base     string // URL of a database to give orders from
	template string
	strategy string // how to clone it
	number   atomic.Int64
}

// New returns the URL of a fresh database with Herald's schema, which is looked
// through and dropped when the test ends.
func New(tb testing.TB) string {
	tb.Helper()
	shared.once.Do(func() { shared.err = shared.start() })
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	name := fmt.Sprintf("%s_%d", shared.template, shared.number.Add(1))
	if err := execute(shared.base, `CREATE DATABASE "`+name+`" TEMPLATE "`+shared.template+`"`+shared.strategy); err != nil {
		tb.Fatal(err)
	}
	made := withDatabase(shared.base, name)
	tb.Cleanup(func() {
		if err := errors.Join(sound(made), execute(shared.base, `DROP DATABASE "`+name+`" WITH (FORCE)`)); err != nil {
			tb.Error(err)
		}
	})
	return made
}

// sound checks what the schema leaves to those who write: that a job stands where
// its state says, that what they count and keep makes sense, and that each event
// has topics.
func sound(url string) error {
	return execute(url, `DO $$
DECLARE
	bad json;
BEGIN
	IF to_regproc('herald.job_standing') IS NULL THEN
		RETURN; -- the test has taken the schema back
	END IF;
	SELECT row_to_json(j) INTO bad FROM herald.jobs j
	WHERE j.standing IS DISTINCT FROM herald.job_standing(j.state, j.external, j.river_id, j.heartbeat_at)
		OR j.attempt < 0 OR j.version < 1 OR j.lease_ms <= 0 OR cardinality(j.pace) <> 4 OR cardinality(j.usual_ms) <> 3
	LIMIT 1;
	IF bad IS NOT NULL THEN
		RAISE EXCEPTION 'a job is not sound: %', bad;
	ELSIF EXISTS (SELECT FROM herald.outbox WHERE cardinality(topics) = 0) OR EXISTS (SELECT FROM herald.events WHERE cardinality(topics) = 0) THEN
		RAISE EXCEPTION 'an event concerns nobody';
	END IF;
END;
$$`)
}

// start finds or starts the server and makes the template.
func (s *server) start() (err error) {
	s.template = fmt.Sprintf("herald_test_%d", os.Getpid())
	if s.base = os.Getenv("HERALD_TEST_DATABASE_URL"); s.base == "" {
		if s.dir, err = makeDir(); err != nil {
			return err
		}
		// Nothing here has to survive a power cut.
		settings := map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
		if s.process, err = startIn(s.dir, settings); err != nil {
			return err
		}
		s.base = s.process.URL("postgres")
		if s.strategy, err = copying(s.base); err != nil {
			return err
		}
	}
	if err := execute(s.base, `CREATE DATABASE "`+s.template+`"`); err != nil {
		return err
	}
	return postgres.Migrate(context.Background(), withDatabase(s.base, s.template))
}

// copying is the way to clone that is quicker without fsync: on version 15,
// which is the first to have a choice, 25 ms instead of 137.
func copying(url string) (string, error) {
	var version int
	err := connected(url, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version)
	})
	if version < 150000 {
		return "", err
	}
	return " STRATEGY file_copy", err
}

// stop leaves nothing behind.
func (s *server) stop() error {
	switch {
	case s.process != nil:
		s.process.Kill() // its data goes, so there is nothing to write back
		return os.RemoveAll(s.dir)
	case s.dir != "":
		return os.RemoveAll(s.dir)
	case s.base != "":
		return execute(s.base, `DROP DATABASE IF EXISTS "`+s.template+`"`)
	default:
		return nil
	}
}

// withDatabase is the URL with another database.
func withDatabase(base, database string) string {
	u, err := url.Parse(base)
	if err != nil {
		panic(err) // it has been connected to
	}
	u.Path = "/" + database
	return u.String()
}

func execute(url, sql string) error {
	return connected(url, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

// connected does something on a connection of its own.
func connected(url string, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	return errors.Join(do(ctx, conn), conn.Close(ctx))
}
