package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNotInstalled is returned when no Postgres is found. Its text says how to
// get one.
var ErrNotInstalled = errors.New("no Postgres is installed: run 'sudo apt-get install --no-install-recommends postgresql', " +
	"name the folder of its programs in HERALD_POSTGRES_BIN, or a server in HERALD_DATABASE_URL")

// Binaries is the folder of a Postgres' programs.
type Binaries struct {
	Dir   string
	Major int // the version, such as 17
}

// Find looks for the programs in dir, if it is not empty; else on the PATH, in
// Debian's folders, the newest version first, and where pg_config says.
func Find(ctx context.Context, dir string) (Binaries, error) {
	if dir != "" {
		return inspect(ctx, dir)
	}
	for _, candidate := range candidates(ctx) {
		if found, err := inspect(ctx, candidate); err == nil {
			return found, nil
		}
	}
	return Binaries{}, ErrNotInstalled
}

func candidates(ctx context.Context) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well formed
	slices.SortFunc(debian, func(a, b string) int { return majorOf(b) - majorOf(a) })
	dirs = append(dirs, debian...)
	if out, err := command(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	return dirs
}

// majorOf is the version in a path such as /usr/lib/postgresql/15/bin.
func majorOf(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect checks that the folder has all that is needed.
func inspect(ctx context.Context, dir string) (Binaries, error) {
	for _, name := range []string{"postgres", "initdb"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.IsDir() {
			return Binaries{}, fmt.Errorf("%s has no %s: HERALD_POSTGRES_BIN is the folder of Postgres' programs", dir, name)
		}
	}
	out, err := command(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return Binaries{}, fmt.Errorf("ask %s for its version: %w", filepath.Join(dir, "postgres"), err)
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return Binaries{}, fmt.Errorf("%s does not say its version", filepath.Join(dir, "postgres"))
	}
	major, err := strconv.Atoi(string(match[1]))
	return Binaries{Dir: dir, Major: major}, err
}

// command is a short program that is not to leave anything behind.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.WaitDelay = time.Second
	return cmd
}
