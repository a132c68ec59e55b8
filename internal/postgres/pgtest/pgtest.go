// Package pgtest gives each test a database of its own: a clone of one that has
// the whole schema, on a Postgres that the test binary runs, or on the server
// that HERALD_TEST_DATABASE_URL names.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
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
	if err := errors.Join(shared.stop(), leaks()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func leaks() error { return goleak.Find() }

// shared is the test binary's server.
var shared server //nolint:gochecknoglobals // one server for all tests of a binary

// server starts when the first test asks for a database.
type server struct {
	once     sync.Once
	err      error
	process  *embedded.Server
	dir      string
	base     string // URL of a database to give orders from
	template string
	number   atomic.Int64
}

// New returns the URL of a fresh database with Herald's schema, which is dropped
// when the test ends.
func New(tb testing.TB) string {
	tb.Helper()
	shared.once.Do(func() { shared.err = shared.start() })
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	name := fmt.Sprintf("%s_%d", shared.template, shared.number.Add(1))
	if err := shared.exec(`CREATE DATABASE "` + name + `" TEMPLATE "` + shared.template + `"`); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := shared.exec(`DROP DATABASE "` + name + `" WITH (FORCE)`); err != nil {
			tb.Error(err)
		}
	})
	return shared.url(name)
}

// start finds or starts the server and makes the template.
func (s *server) start() error {
	s.template = fmt.Sprintf("herald_test_%d", os.Getpid())
	if s.base = os.Getenv("HERALD_TEST_DATABASE_URL"); s.base == "" {
		dir, err := tempDir()
		if err != nil {
			return err
		}
		s.dir = dir
		// Nothing here has to survive a power cut.
		settings := map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
		if s.process, err = Server(dir, settings); err != nil {
			return err
		}
		s.base = s.process.URL("postgres")
	}
	if err := s.exec(`CREATE DATABASE "` + s.template + `"`); err != nil {
		return err
	}
	return postgres.Migrate(context.Background(), s.url(s.template))
}

// Server starts a Postgres in the folder, with the settings, for a test that
// kills or restarts it. The caller stops it.
func Server(dir string, settings map[string]string) (*embedded.Server, error) {
	return embedded.Start(context.Background(), embedded.Config{
		Dir: filepath.Join(dir, "postgres"), BinDir: os.Getenv("HERALD_POSTGRES_BIN"),
		Logger: slog.New(slog.DiscardHandler), Settings: settings,
	})
}

// tempDir makes a folder that Postgres' own user can reach.
func tempDir() (string, error) {
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

func (s *server) stop() error {
	if s.process == nil {
		if s.base == "" || s.template == "" {
			return nil
		}
		return s.exec(`DROP DATABASE IF EXISTS "` + s.template + `"`)
	}
	s.process.Kill() // its data goes, so there is nothing to write back
	return os.RemoveAll(s.dir)
}

// url is the base URL with another database.
func (s *server) url(database string) string {
	u, err := url.Parse(s.base)
	if err != nil {
		panic(err) // it has been connected to
	}
	u.Path = "/" + database
	return u.String()
}

func (s *server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.base)
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}
