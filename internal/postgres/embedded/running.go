package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Made reports whether a Server has been set up in the folder.
func Made(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "data", "PG_VERSION"))
	return err == nil
}

// Running reports whether a Postgres runs in the folder.
func Running(dir string) bool {
	f := folder{dir: dir}
	text, err := os.ReadFile(f.pidFile())
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return false
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.TrimSpace(string(name)) == "postgres"
}

// FindFor is Find for the folder of a Server: the programs of the version that has
// made it, when one has.
func FindFor(ctx context.Context, dir, binDir string) (Binaries, error) {
	made, err := (&folder{dir: dir}).madeBy()
	if err != nil {
		return Binaries{}, err
	}
	return find(ctx, binDir, made)
}

// RunningURL is the URL of a database of the Server that another process runs
// in the folder.
func RunningURL(dir, database string) (string, error) {
	const socketLine = 4 // of what Postgres writes when it has started
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return "", fmt.Errorf("find the Postgres that runs in %s: %w", dir, err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) <= socketLine || lines[socketLine] == "" {
		return "", errors.New("Herald's own Postgres is starting: try again in a moment")
	}
	return (&Server{socket: lines[socketLine]}).URL(database), nil
}
