package logtest_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/eventlog"
)

// crew is the sequencers, each a process.
type crew struct {
	url    string
	logs   io.Writer
	config eventlog.Config
	kills  atomic.Int64

	mu      sync.Mutex // guards the field below
	members []*process
}

func (c *crew) start(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range n {
		p, err := spawnSequencer(c.logs, c.url, c.config)
		if err != nil {
			return err
		}
		c.members = append(c.members, p)
	}
	return nil
}

func (c *crew) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.members {
		p.kill()
	}
	c.members = nil
}

// disturb kills sequencers until ctx ends, and leaves as many as there were.
func (c *crew) disturb(ctx context.Context, rng *rand.Rand) error {
	for rest(ctx, time.Duration(50+rng.IntN(600))*time.Millisecond) == nil {
		c.mu.Lock()
		at := rng.IntN(len(c.members))
		victim := c.members[at]
		c.mu.Unlock()
		if rng.IntN(4) == 0 {
			if err := c.freeze(ctx, victim, time.Duration(rng.IntN(800))*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		victim.kill()
		c.kills.Add(1)
		_ = rest(ctx, time.Duration(rng.IntN(100))*time.Millisecond)
		p, err := spawnSequencer(c.logs, c.url, c.config)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.members[at] = p
		c.mu.Unlock()
	}
	return nil
}

// freeze stops a sequencer, ends the session that leads, and lets the sequencer
// go on when another one may have taken its place.
func (c *crew) freeze(ctx context.Context, victim *process, d time.Duration) error {
	if err := victim.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	err := terminate(ctx, c.url, leaders)
	_ = rest(ctx, d)
	if err := victim.signal(syscall.SIGCONT); err != nil {
		return err
	}
	return unexpected(err)
}

// These read the process ids of backends, in an order that chance does not
// change.
const (
	leaders = `SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()`
	backends = `SELECT pid FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start, pid`
)

// terminate ends all backends of the query.
func terminate(ctx context.Context, url, query string) error {
	_, err := ask(ctx, url, "SELECT pg_terminate_backend(pid)::int FROM ("+query+") b")
	return err
}

// ask reads numbers on a connection of its own.
func ask(ctx context.Context, url, query string, args ...any) ([]int, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// terminateBackends ends connections at random until ctx ends: the leader's
// often, any other's as well.
func (w *world) terminateBackends(ctx context.Context, rng *rand.Rand) error {
	for rest(ctx, time.Duration(20+rng.IntN(500))*time.Millisecond) == nil {
		query := leaders
		if rng.IntN(2) == 0 {
			pids, err := ask(ctx, w.url, backends)
			if err != nil || len(pids) == 0 {
				if err := unexpected(err); err != nil {
					return err
				}
				continue
			}
			query = fmt.Sprintf("SELECT %d AS pid", pids[rng.IntN(len(pids))])
		}
		if err := unexpected(terminate(ctx, w.url, query)); err != nil {
			return err
		}
		w.terminated++
	}
	return nil
}

// crash ends Postgres in one of three ways, and has it back when it returns.
// Only the test's own goroutine may call it.
func (w *world) crash(ctx context.Context, way int) error {
	switch way % 3 {
	case 0: // as its own crash would
		w.server.Kill()
		w.server.Start() //nolint:contextcheck // it runs until the test ends
	case 1: // the process that the others belong to, which they notice by themselves
		pid, err := postmaster(ctx, w.url)
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
		w.server.Kill()  // waits for the rest
		w.server.Start() //nolint:contextcheck // it runs until the test ends
	case 2: // one backend, whereupon Postgres throws out all others and recovers
		pids, err := ask(ctx, w.url, backends)
		if err != nil || len(pids) == 0 {
			return err
		}
		_ = syscall.Kill(pids[len(pids)-1], syscall.SIGKILL) // an error means that it has just ended
	}
	return await(ctx, func(ctx context.Context) (bool, error) {
		_, err := ask(ctx, w.url, "SELECT 1")
		return err == nil, unexpected(err)
	})
}

// postmaster reads the process id of the server itself.
func postmaster(ctx context.Context, url string) (int, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var dir string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&dir); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(first)
}
