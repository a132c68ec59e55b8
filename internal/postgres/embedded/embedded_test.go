package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"herald/internal/postgres/embedded"
)

// asChild makes the test binary a process that starts a server and is killed.
const asChild = "HERALD_TEST_EMBEDDED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asChild); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// child starts a server, commits a row, says so, and waits to be killed.
func child(dir string) {
	server, err := embedded.Start(context.Background(), config(dir))
	if err == nil {
		err = exec1(server, "CREATE TABLE kept AS SELECT 42 AS answer")
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	_, _ = fmt.Fprintln(os.Stdout, "ready")
	select {}
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

// processes are those that have to do with the folder.
func processes(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), dir) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
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

// Killed by SIGKILL, we leave nothing running, and what was committed is there
// after the next start, which does not have to wait to be tried.
func TestPostgresDiesWithItsParent(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	server := start(t, config(dir))
	defer stop(t, server)
	if got := show(t, server, "SELECT answer::text FROM kept"); got != "42" {
		t.Errorf("the row is %q after the kill, want 42", got)
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

func TestAnotherVersionsFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), config(dir)); err == nil || !strings.Contains(err.Error(), "Postgres 9") || !strings.Contains(err.Error(), "HERALD_POSTGRES_BIN") {
		t.Errorf("Start() = %v, want both versions and what to do", err)
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

func TestKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server := start(t, config(dir))
	if err := exec1(server, "CREATE TABLE kept AS SELECT 42 AS answer"); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	again := start(t, config(dir))
	defer stop(t, again)
	if got := show(t, again, "SELECT answer::text FROM kept"); got != "42" {
		t.Errorf("the row is %q after the kill, want 42", got)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	found, err := embedded.Find(t.Context(), os.Getenv("HERALD_POSTGRES_BIN"))
	if err != nil || found.Major < 14 {
		t.Errorf("Find() = %+v, %v", found, err)
	}
	if again, err := embedded.Find(t.Context(), found.Dir); err != nil || again != found {
		t.Errorf("Find(%s) = %+v, %v, want %+v", found.Dir, again, err, found)
	}
	if _, err := embedded.Find(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "HERALD_POSTGRES_BIN") {
		t.Errorf("Find(an empty folder) = %v, want to be told which setting is wrong", err)
	}
}
