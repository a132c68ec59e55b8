package pgtest

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"herald/internal/postgres"
	"herald/internal/postgres/embedded"
)

// Server is a Postgres of a test's own that keeps what is committed, as one in
// production does: the test may kill it and start it again.
type Server struct {
	tb      testing.TB
	dir     string
	process *embedded.Server
}

// NewServer starts a Server, which ends with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	dir, err := makeDir()
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{tb: tb, dir: dir}
	tb.Cleanup(func() {
		if s.process != nil {
			s.process.Kill()
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	s.Start()
	if err := postgres.Migrate(tb.Context(), s.URL()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// URL is the address of a database with Herald's schema. It stays the same when
// the server is started again.
func (s *Server) URL() string { return s.process.URL("postgres") }

// Kill ends the server as a crash does, with all its connections.
func (s *Server) Kill() { s.process.Kill() }

// Start starts the server again after Kill. It may only be called by the test's
// own goroutine.
func (s *Server) Start() {
	s.tb.Helper()
	process, err := startIn(s.dir, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.process = process
}

func startIn(dir string, settings map[string]string) (*embedded.Server, error) {
	return embedded.Start(context.Background(), embedded.Config{
		Dir: filepath.Join(dir, "postgres"), BinDir: os.Getenv("HERALD_POSTGRES_BIN"),
		Logger: slog.New(slog.DiscardHandler), Settings: settings,
	})
}

// prefix begins the names of the folders.
const prefix = "herald-pgtest-"

// makeDir makes a folder that Postgres' own user can reach, and removes those of
// test binaries that were killed.
func makeDir() (string, error) {
	if err := sweep(); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// sweep removes the folders that no process works in any more. A young one may
// be about to be used.
func sweep() error {
	const young = 10 * time.Minute
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range dirs {
		info, statErr := os.Stat(dir)
		if statErr != nil || time.Since(info.ModTime()) < young || inUse(dir) {
			continue
		}
		if removeErr := os.RemoveAll(dir); !errors.Is(removeErr, fs.ErrPermission) { // another user's
			err = errors.Join(err, removeErr)
		}
	}
	return err
}

// inUse reports whether a server's processes hold the lock that each inherits.
func inUse(dir string) bool {
	life, err := os.Open(filepath.Join(dir, "postgres", "life"))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer func() { _ = life.Close() }()
	return syscall.Flock(int(life.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}
