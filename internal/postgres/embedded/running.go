package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Made reports whether a Server has been set up in the folder.
func Made(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "data", "PG_VERSION"))
	return err == nil
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
