// Package embedded finds, starts and stops a Postgres of our own, so that
// Herald runs without any being set up. It listens on a socket that only its
// own user and we can reach, never on the network, and it dies with us.
package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// Config is what a Server needs.
type Config struct {
	Dir      string // its folder, made when missing; nobody else's
	BinDir   string // folder of Postgres' programs; empty: the one that Find finds
	Logger   *slog.Logger
	Settings map[string]string // settings besides, or instead of, our own, such as fsync
}

// The bounds of the waits, for a slow disk: each is far beyond what is usual.
const (
	startTime = 60 * time.Second // recovery after a crash included
	dyingTime = 10 * time.Second // of a predecessor that was killed
	killTime  = 2 * time.Second
)

// ErrInUse is returned when another process runs a Server in the folder.
var ErrInUse = errors.New("another Herald uses this data folder: end that one, or choose another folder with --data-dir")

// Server is a running Postgres.
type Server struct {
	config  Config
	bin     Binaries
	owner   owner
	lock    *os.File
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
	s := &Server{config: config, done: make(chan struct{})}
	if s.bin, err = Find(ctx, config.BinDir); err != nil {
		return nil, err
	}
	if s.owner, err = findOwner(); err != nil {
		return nil, err
	}
	if err := s.takeFolder(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if err := s.initialize(ctx); err != nil {
		return nil, err
	}
	if err := s.makeSocketDir(); err != nil {
		return nil, err
	}
	if err := s.launch(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// takeFolder makes the folder and locks it. The kernel gives the lock back
// however we end.
func (s *Server) takeFolder() error {
	if err := os.MkdirAll(s.config.Dir, 0o711); err != nil {
		return fmt.Errorf("make Postgres' folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(s.config.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock Postgres' folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%s: %w", filepath.Dir(s.config.Dir), ErrInUse)
		}
		return fmt.Errorf("lock Postgres' folder: %w", err)
	}
	s.lock = lock
	if err := s.owner.openWay(s.config.Dir); err != nil {
		s.release()
		return err
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.config.Dir, "data") }

// initialize sets the data folder up, or checks that this Postgres can use it.
func (s *Server) initialize(ctx context.Context) error {
	version, err := os.ReadFile(filepath.Join(s.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return s.initdb(ctx)
	}
	if err != nil {
		return fmt.Errorf("read Postgres' data folder: %w", err)
	}
	if major := strings.TrimSpace(string(version)); major != strconv.Itoa(s.bin.Major) {
		return fmt.Errorf("%s was made by Postgres %s, and %s is Postgres %d: name the folder of version %s in HERALD_POSTGRES_BIN, "+
			"or take another data folder", s.data(), major, s.bin.Dir, s.bin.Major, major)
	}
	return nil
}

// initdb sets up a new data folder under another name first, so that half of
// one is never taken for a whole.
func (s *Server) initdb(ctx context.Context) error {
	half := s.data() + ".new"
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("remove what is left of a broken start: %w", err)
	}
	if err := s.owner.makeDir(half); err != nil {
		return fmt.Errorf("make Postgres' data folder: %w", err)
	}
	cmd := command(ctx, filepath.Join(s.bin.Dir, "initdb"), "--pgdata="+half, "--username="+User, "--auth=trust",
		"--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner.credential}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set up Postgres: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(half, s.data()); err != nil {
		return fmt.Errorf("set up Postgres: %w", err)
	}
	return nil
}

// makeSocketDir makes the folder of the socket: in ours, unless its path is too
// long for a socket's address.
func (s *Server) makeSocketDir() error {
	const longest = 107 - len("/.s.PGSQL.5432.lock")
	s.socket = filepath.Join(s.config.Dir, "run")
	if len(s.socket) > longest {
		dir, err := os.MkdirTemp("", "herald-")
		if err != nil {
			return fmt.Errorf("make the socket's folder: %w", err)
		}
		s.socket = dir
	}
	if err := s.owner.makeDir(s.socket); err != nil {
		return fmt.Errorf("make the socket's folder: %w", err)
	}
	return nil
}

// launch starts the process and waits until it answers. When a predecessor was
// killed a moment ago, its last processes may still hold what they share: then
// it is tried again, but not for long.
func (s *Server) launch(ctx context.Context) error {
	_, err := os.Stat(s.pidFile())
	killed := err == nil
	for giveUp := time.Now().Add(dyingTime); ; {
		err := s.launchOnce(ctx)
		if err == nil || ctx.Err() != nil || !killed || time.Now().After(giveUp) {
			return err
		}
		s.done = make(chan struct{})
		wait(ctx, 100*time.Millisecond)
	}
}

func (s *Server) launchOnce(ctx context.Context) error {
	s.output = newOutput(s.config.Logger)
	started := make(chan error)
	go s.run(started)
	if err := <-started; err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	for !s.answers() {
		select {
		case <-s.done:
			return fmt.Errorf("Postgres did not start: %s", s.output.last())
		case <-ctx.Done():
			_ = s.process.Signal(syscall.SIGQUIT)
			<-s.done
			return fmt.Errorf("Postgres did not answer: %w: %s", ctx.Err(), s.output.last())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// run is the process's life. The kernel ends the process when the thread that
// started it ends, so this goroutine keeps its thread.
func (s *Server) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.done)
	cmd := exec.Command(filepath.Join(s.bin.Dir, "postgres"), s.arguments()...) //nolint:noctx // Stop ends it, in order
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = s.output, s.output
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: s.owner.credential,
		Setpgid:    true,            // a Ctrl-C in the terminal is ours alone
		Pdeathsig:  syscall.SIGQUIT, // an immediate shutdown; the next start recovers
	}
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	s.process = cmd.Process
	started <- nil
	_ = cmd.Wait() // why it ended is in its output
}

func (s *Server) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        "",
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
	args := []string{"-D", s.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

func (s *Server) pidFile() string { return filepath.Join(s.data(), "postmaster.pid") }

// answers reports whether the process has written that it takes connections:
// the first line of its file is its id, the eighth its state.
func (s *Server) answers() bool {
	text, err := os.ReadFile(s.pidFile())
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	const state = 7
	return len(lines) > state && lines[0] == strconv.Itoa(s.process.Pid) && strings.TrimSpace(lines[state]) == "ready"
}

// URL is the address of a database on the server.
func (s *Server) URL(database string) string {
	query := url.Values{"host": {s.socket}, "user": {User}}
	return "postgres:///" + url.PathEscape(database) + "?" + query.Encode()
}

// Done is closed when the server has ended, whoever ended it.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the server in order, without waiting for its clients; when ctx ends
// first, without order. It returns when no process is left.
func (s *Server) Stop(ctx context.Context) error {
	defer s.release()
	s.output.quiet()
	_ = s.process.Signal(syscall.SIGINT) // a fast shutdown; an error means that it has ended
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	_ = s.process.Signal(syscall.SIGQUIT)
	select {
	case <-s.done:
	case <-time.After(killTime):
		_ = s.process.Kill()
		<-s.done
	}
	return fmt.Errorf("stop Postgres: %w", ctx.Err())
}

// Kill ends the server as a crash would, and returns when it has ended.
func (s *Server) Kill() {
	defer s.release()
	s.output.quiet()
	_ = s.process.Kill()
	<-s.done
}

// release gives the folder back.
func (s *Server) release() {
	if s.socket != "" && filepath.Dir(s.socket) != s.config.Dir {
		_ = os.RemoveAll(s.socket)
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
