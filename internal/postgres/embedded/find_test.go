package embedded_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"herald/internal/exectest"
	"herald/internal/postgres/embedded"
)

// programs makes a folder with a Postgres of the version, whose initdb is the
// script.
func programs(t *testing.T, major int, initdb string) string {
	t.Helper()
	dir := folder(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"postgres": fmt.Sprintf("echo 'postgres (PostgreSQL) %d.1 (Debian)'", major),
		"initdb":   initdb,
	} {
		if err := exectest.WriteScript(filepath.Join(dir, name), script); err != nil {
			t.Fatal(err)
		}
	}
	return dir
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
	if _, err := embedded.Find(t.Context(), programs(t, 13, "")); err == nil || !strings.Contains(err.Error(), "14 or newer") {
		t.Errorf("Find(Postgres 13) = %v, want to be told what is needed", err)
	}
}

func TestFindOnThePath(t *testing.T) {
	dir := programs(t, 99, "")
	t.Setenv("PATH", dir)
	want := embedded.Binaries{Dir: dir, Major: 99}
	if found, err := embedded.Find(t.Context(), ""); err != nil || found != want {
		t.Errorf("Find() = %+v, %v, want %+v", found, err, want)
	}
}

// A newer Postgres is of no use for a folder that another version made.
func TestTheVersionThatMadeTheFolderIsTaken(t *testing.T) {
	c := config(folder(t))
	if c.BinDir != "" {
		t.Skip("HERALD_POSTGRES_BIN names the only one to take")
	}
	stop(t, start(t, c))
	t.Setenv("PATH", programs(t, 99, "")+":"+os.Getenv("PATH"))
	stop(t, start(t, c))
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

// Half of a set-up is not kept, and the error says what initdb said.
func TestAFailedSetUp(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := config(dir)
	c.BinDir = programs(t, 15, "echo 'no space left' >&2; exit 1")
	if _, err := embedded.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("Start() = %v, want initdb's own words", err)
	}
	stop(t, start(t, config(dir)))
}

// Root starts Postgres as another user, who has to reach the folder.
func TestAFolderThatPostgresCannotReach(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root starts Postgres as somebody else")
	}
	top := filepath.Dir(folder(t))
	home := filepath.Join(top, "home")
	dataDir := filepath.Join(home, "herald")
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), config(filepath.Join(dataDir, "postgres"))); err == nil ||
		!strings.HasSuffix(err.Error(), "cannot pass through "+home+": choose a data folder elsewhere with --data-dir") {
		t.Errorf("Start() = %v, want to be told of %s", err, home)
	}
	if err := os.Chmod(home, 0o711); err != nil {
		t.Fatal(err)
	}
	stop(t, start(t, config(filepath.Join(dataDir, "postgres"))))

	c := config(filepath.Join(top, "postgres"))
	c.BinDir = filepath.Join(top, "bin")
	found, err := embedded.Find(t.Context(), config("").BinDir)
	if err := errors.Join(err, os.Mkdir(c.BinDir, 0o700), os.Symlink(filepath.Join(found.Dir, "postgres"), filepath.Join(c.BinDir, "postgres")),
		os.Symlink(filepath.Join(found.Dir, "initdb"), filepath.Join(c.BinDir, "initdb"))); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "cannot pass through "+c.BinDir) {
		t.Errorf("Start() = %v, want to be told of %s", err, c.BinDir)
	}
}

// A data folder stays with the user who has it, whoever would get a new one.
func TestTheFoldersUserIsKept(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root starts Postgres as somebody else")
	}
	dir := folder(t)
	stop(t, start(t, config(dir)))
	const daemon = 1
	err := filepath.WalkDir(filepath.Join(dir, "data"), func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, daemon, daemon))
	})
	if err != nil {
		t.Fatal(err)
	}
	server := start(t, config(dir))
	defer stop(t, server)
	info, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; got != daemon {
		t.Errorf("Postgres runs as user %d, want %d", got, daemon)
	}
}
