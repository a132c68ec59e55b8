// Package embedded finds, starts and stops a Postgres of our own, so that
// Herald runs without any being set up. It listens on a socket that only its
// own user and we can reach, never on the network, and it dies with us.
package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// User is the database's only role, and its superuser.
const User = "herald"

// Database is the one that is used of the server's.
const Database = "postgres"

// port names the socket; nothing listens on the network.
const port = "5432"

// Config is what a Server needs.
type Config struct {
	Dir      string // its folder, made when missing; nobody else's
	BinDir   string // folder of Postgres' programs; empty: the one that Find finds
	Logger   *slog.Logger
	Settings map[string]string // settings besides, or instead of, our own, such as fsync
}

// The bounds of the waits, for a slow disk: each is far beyond what is usual.
const (
	startTime = 5 * time.Minute // recovery after a crash included
	killTime  = 10 * time.Second
)

// Server is a running Postgres.
type Server struct {
	config  Config
	bin     Binaries
	folder  *folder
	socket  string // folder of its socket
	process *os.Process
	output  *output
	done    chan struct{} // closed when it has ended
}

// Start starts a Postgres in the folder, which it sets up when it is empty, and
// returns when it answers. The caller stops it; should the caller die, the
// kernel does.
func Start(ctx context.Context, config Config) (server *Server, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if config.Dir, err = filepath.Abs(config.Dir); err != nil {
		return nil, fmt.Errorf("find Postgres' folder: %w", err)
	}
	s := &Server{config: config, output: newOutput(config.Logger), done: make(chan struct{})}
	if s.folder, err = takeFolder(ctx, config.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	made, err := s.folder.madeBy()
	if err != nil {
		return nil, err
	}
	if s.bin, err = find(ctx, config.BinDir, made); err != nil {
		return nil, err
	}
	if err := s.folder.owner.reaches(s.bin.Dir); err != nil {
		return nil, fmt.Errorf("%w: install Postgres elsewhere, and name the folder of its programs in HERALD_POSTGRES_BIN", err)
	}
	if made == 0 {
		if err := s.folder.initdb(ctx, s.bin); err != nil {
			return nil, err
		}
	}
	if err := s.makeSocketDir(); err != nil {
		return nil, fmt.Errorf("make the socket's folder: %w", err)
	}
	if err := s.launch(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// makeSocketDir makes the folder of the socket: in ours, unless its path is too
// long for a socket's address.
func (s *Server) makeSocketDir() (err error) {
	const longest = 107 - len("/.s.PGSQL."+port+".lock")
	s.socket = filepath.Join(s.config.Dir, "run")
	if len(s.socket) > longest {
		// TMPDIR may be as long, or closed to Postgres' user.
		if s.socket, err = os.MkdirTemp("/tmp", "herald-"); err != nil {
			return err
		}
	}
	return s.folder.owner.makeDir(s.socket)
}

// launch starts the process and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	started := make(chan error)
	go s.run(started) //nolint:contextcheck // the process outlives the start
	if err := <-started; err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	for !s.answers() {
		select {
		case <-s.done:
			return fmt.Errorf("Postgres did not start: %s", s.output.last())
		case <-ctx.Done():
			s.Kill()
			return fmt.Errorf("Postgres did not answer: %w: %s", ctx.Err(), s.output.last())
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.output.setLoud(true)
	return nil
}

// run is the process's life. The kernel ends the process when the thread that
// started it ends, so this goroutine keeps its thread.
func (s *Server) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.done)
	cmd := exec.Command(filepath.Join(s.bin.Dir, "postgres"), s.arguments()...) //nolint:noctx // Stop ends it, in order
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = s.output, s.output
	cmd.WaitDelay = killTime
	s.folder.adopt(cmd, syscall.SIGQUIT) // an immediate shutdown of all its processes; the next start recovers
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	s.process = cmd.Process
	started <- nil
	_ = cmd.Wait() // for all its processes, which share its output; why it ended stands there
	s.output.close()
}

func (s *Server) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        "",
		"port":                    port,
		"unix_socket_directories": s.socket,
		"unix_socket_permissions": "0700",
		"max_connections":         "200",
		"wal_compression":         "on",
		"log_line_prefix":         "",
		"log_destination":         "stderr",
		"logging_collector":       "off",
		"log_min_error_statement": "panic", // statements may hold what is nobody's business
	}
	maps.Copy(settings, s.config.Settings)
	args := []string{"-D", s.folder.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// answers reports whether the process has written that it takes connections:
// the first line of its file is its id, the eighth its state.
func (s *Server) answers() bool {
	text, err := os.ReadFile(s.folder.pidFile())
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	const state = 7
	return len(lines) > state && lines[0] == strconv.Itoa(s.process.Pid) && strings.TrimSpace(lines[state]) == "ready"
}

// URL is the address of a database on the server.
func (s *Server) URL(database string) string {
	query := url.Values{"host": {s.socket}, "port": {port}, "user": {User}}
	return "postgres:///" + url.PathEscape(database) + "?" + query.Encode()
}

// Done is closed when the server has ended, whoever ended it.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the server in order, without waiting for its clients; when ctx ends
// first, without order. It returns when no process is left.
func (s *Server) Stop(ctx context.Context) error {
	defer s.release()
	s.output.setLoud(false)
	_ = s.process.Signal(syscall.SIGINT) // a fast shutdown; an error means that it has ended
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.Kill()
		return fmt.Errorf("stop Postgres: %w", ctx.Err())
	}
}

// Kill ends the server as a crash would, without a checkpoint: the next start
// recovers from the log. It returns when no process is left.
func (s *Server) Kill() {
	defer s.release()
	s.output.setLoud(false)
	_ = s.process.Signal(syscall.SIGQUIT)
	select {
	case <-s.done:
	case <-time.After(killTime):
		_ = s.process.Kill()
		<-s.done
	}
}

// release gives the folder back.
func (s *Server) release() {
	if s.socket != "" && filepath.Dir(s.socket) != s.config.Dir {
		_ = os.RemoveAll(s.socket)
	}
	s.folder.release()
}
