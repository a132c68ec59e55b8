package embedded_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"herald/internal/postgres/embedded"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(asChild); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func config(dir string) embedded.Config {
	return embedded.Config{Dir: dir, BinDir: os.Getenv("HERALD_POSTGRES_BIN"), Logger: slog.New(slog.DiscardHandler)}
}

// folder makes a data folder that Postgres' own user can reach.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embedded-") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "postgres")
}

func start(t *testing.T, c embedded.Config) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func stop(t *testing.T, server *embedded.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func exec1(server *embedded.Server, sql string) error {
	conn, err := pgx.Connect(context.Background(), server.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(context.Background(), sql)
	return errors.Join(err, conn.Close(context.Background()))
}

// show reads one value.
func show(t *testing.T, server *embedded.Server, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var value string
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// processes are those that work in the folder: Postgres makes its data folder
// the working folder of each.
func processes(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && strings.HasPrefix(at, dir) {
			found = append(found, filepath.Base(filepath.Dir(link)))
		}
	}
	return found
}

func TestStartStopStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, config(dir))
	if err := exec1(first, "CREATE TABLE kept AS SELECT 42 AS answer"); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]string{
		"SHOW listen_addresses": "", "SHOW server_encoding": "UTF8", "SHOW data_checksums": "on", "SHOW fsync": "on", "SELECT current_user": "herald",
	} {
		if got := show(t, first, sql); got != want {
			t.Errorf("%s = %q, want %q", sql, got, want)
		}
	}
	if len(processes(t, dir)) == 0 {
		t.Error("no process is seen to work in the folder")
	}
	stop(t, first)
	<-first.Done()
	if left := processes(t, dir); left != nil {
		t.Errorf("left running: %v", left)
	}
	c := config(dir)
	c.Settings = map[string]string{"fsync": "off"}
	second := start(t, c)
	defer stop(t, second)
	if got := show(t, second, "SELECT answer::text FROM kept"); got != "42" {
		t.Errorf("the row is %q after a stop, want 42", got)
	}
	if got := show(t, second, "SHOW fsync"); got != "off" {
		t.Errorf("fsync = %q, want the setting that was given", got)
	}
}

func TestAFolderInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server := start(t, config(dir))
	if _, err := embedded.Start(t.Context(), config(dir)); !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), filepath.Dir(dir)) {
		t.Errorf("Start() = %v, want %v, and the folder named", err, embedded.ErrInUse)
	}
	stop(t, server)
	stop(t, start(t, config(dir)))
}

func TestNobodyElseCanConnect(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server := start(t, config(dir))
	defer stop(t, server)
	for _, name := range []string{"data", "run"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := info.Mode().Perm(), os.FileMode(0o700); got != want {
			t.Errorf("the folder %s has mode %v, want %v", name, got, want)
		}
	}
}

func TestALongPathHasItsSocketElsewhere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("long-", 20))
	server := start(t, config(dir))
	if got := show(t, server, "SELECT 'here'"); got != "here" {
		t.Errorf("got %q", got)
	}
	socket := show(t, server, "SHOW unix_socket_directories")
	stop(t, server)
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's folder %s: %v, want it gone", socket, err)
	}
}

func TestAFailedStartSaysWhatPostgresSaid(t *testing.T) {
	t.Parallel()
	c := config(folder(t))
	c.Settings = map[string]string{"shared_buffers": "nonsense"}
	if _, err := embedded.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "shared_buffers") {
		t.Errorf("Start() = %v, want Postgres' own words", err)
	}
}

func TestStartLeavesNothingWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if server, err := embedded.Start(ctx, config(dir)); err == nil {
		stop(t, server)
	}
	stop(t, start(t, config(dir)))
}
