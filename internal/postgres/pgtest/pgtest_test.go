package pgtest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, conn *pgx.Conn, table string) int {
	t.Helper()
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one, other := connect(t, pgtest.New(t)), connect(t, pgtest.New(t))
	exec(t, one, "CREATE TABLE mine AS SELECT 1")
	exec(t, other, "CREATE TABLE mine AS SELECT 1 UNION SELECT 2")
	if got, want := count(t, one, "mine"), 1; got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
	if got, want := count(t, other, "herald.jobs"), 0; got != want {
		t.Errorf("%d jobs, want %d", got, want)
	}
}

func TestADatabaseEndsWithItsTest(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("test", func(t *testing.T) {
		t.Parallel()
		url = pgtest.New(t)
		connect(t, url)
	})
	t.Cleanup(func() {
		if conn, err := pgx.Connect(context.Background(), url); err == nil {
			t.Errorf("the database is still there: %v", conn.Close(context.Background()))
		}
	})
}

func TestAServerKeepsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	url := server.URL()
	conn := connect(t, url)
	exec(t, conn, "CREATE TABLE kept AS SELECT 42")
	exec(t, conn, "BEGIN; CREATE TABLE lost AS SELECT 42")
	server.Kill()
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a connection survived the kill")
	}
	server.Start()
	if server.URL() != url {
		t.Errorf("URL() = %s after a start, want %s", server.URL(), url)
	}
	again := connect(t, url)
	if got, want := count(t, again, "kept"), 1; got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
	if got, want := count(t, again, "pg_tables WHERE tablename = 'lost'"), 0; got != want {
		t.Errorf("%d tables that were not committed, want %d", got, want)
	}
	if got, want := count(t, again, "pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'on'"), 2; got != want {
		t.Errorf("%d of its settings make it durable, want %d", got, want)
	}
}

func TestWhatKilledTestsLeftIsRemoved(t *testing.T) {
	dir, err := os.MkdirTemp("", "sweep-") //nolint:usetesting // t.TempDir is closed to Postgres' own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("TMPDIR", dir)
	left, young := filepath.Join(dir, "herald-pgtest-1"), filepath.Join(dir, "herald-pgtest-2")
	if err := errors.Join(os.Chmod(dir, 0o711), os.Mkdir(left, 0o711), os.Mkdir(young, 0o711)); err != nil {
		t.Fatal(err)
	}
	used := pgtest.NewServer(t)
	folders, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(folders) != 3 {
		t.Fatalf("Glob() = %v, %v, want three folders", folders, err)
	}
	long := time.Now().Add(-time.Hour)
	for _, folder := range folders {
		if folder == young {
			continue
		}
		if err := os.Chtimes(folder, long, long); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.NewServer(t)
	for folder, want := range map[string]bool{left: false, young: true} {
		if _, err := os.Stat(folder); (err == nil) != want {
			t.Errorf("Stat(%s) = %v, want it there: %v", folder, err, want)
		}
	}
	exec(t, connect(t, used.URL()), "CREATE TABLE still_there AS SELECT 1")
}
