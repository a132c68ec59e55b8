package embedded

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// oldest is the first version that has all that Herald and its queue use.
const oldest = 14

// Binaries is the folder of a Postgres' programs.
type Binaries struct {
	Dir   string
	Major int // the version, such as 17
}

// Find looks for the programs in dir, if it is not empty; else on the PATH, in
// Debian's folders, the newest version first, and where pg_config says.
func Find(ctx context.Context, dir string) (Binaries, error) {
	return find(ctx, dir, 0)
}

// find is Find for a data folder that the version major made; 0 is any. Only
// that version can read it, so it is taken even when there is a newer one.
func find(ctx context.Context, dir string, major int) (Binaries, error) {
	if dir != "" {
		b, err := inspect(ctx, dir)
		if err == nil && major != 0 && b.Major != major {
			err = versionError(b, major)
		}
		return b, err
	}
	problem := ErrNotInstalled
	for candidate := range candidates(ctx) {
		b, err := inspect(ctx, candidate)
		switch {
		case err != nil:
			continue
		case major == 0 || b.Major == major:
			return b, nil
		case errors.Is(problem, ErrNotInstalled):
			problem = versionError(b, major)
		}
	}
	return Binaries{}, problem
}

func versionError(b Binaries, major int) error {
	return fmt.Errorf("the data folder was made by Postgres %d, and %s is Postgres %d: name the folder of version %d's programs in HERALD_POSTGRES_BIN, "+
		"or choose another data folder with --data-dir", major, b.Dir, b.Major, major)
}

// candidates are the folders where a Postgres may be, the best first.
func candidates(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		if path, err := exec.LookPath("postgres"); err == nil {
			if target, err := filepath.EvalSymlinks(path); err == nil && !yield(filepath.Dir(target)) {
				return
			}
		}
		debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well formed
		slices.SortFunc(debian, func(a, b string) int { return majorOf(b) - majorOf(a) })
		for _, dir := range debian {
			if !yield(dir) {
				return
			}
		}
		if out, err := command(ctx, "pg_config", "--bindir").Output(); err == nil {
			yield(strings.TrimSpace(string(out)))
		}
	}
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
	if err == nil && major < oldest {
		err = fmt.Errorf("%s is Postgres %d, and Herald needs %d or newer", dir, major, oldest)
	}
	return Binaries{Dir: dir, Major: major}, err
}

// command is a short program that is not to leave anything behind.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.WaitDelay = time.Second
	return cmd
}
