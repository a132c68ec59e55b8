package logtest_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) {
	for name, role := range map[string]func(string) error{
		asSequencer: runSequencer, asNetworkServer: runNetworkServer, asFarLeader: runFarLeader,
	} {
		if value := os.Getenv(name); value != "" {
			if err := role(value); err != nil {
				_, _ = os.Stderr.WriteString(err.Error() + "\n")
				os.Exit(1)
			}
			return
		}
	}
	pgtest.Main(m)
}

// patience bounds a wait for something that is sure to happen. It says nothing
// about how long that should take.
const patience = 60 * time.Second

// soak is how long the tests may go on, 0 for their short form.
func soak(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("HERALD_TEST_SOAK")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("HERALD_TEST_SOAK: %v", err)
	}
	return d
}

// noQueue is a queue that nobody works.
type noQueue struct{}

func (noQueue) EnqueueTx(context.Context, pgx.Tx, job.Job) (int64, error) { return 1, nil }
func (noQueue) CancelTx(context.Context, pgx.Tx, int64) error             { return nil }
func (noQueue) CancelRiverTx(context.Context, pgx.Tx, job.River) error    { return nil }
func (noQueue) RetryRiverTx(context.Context, pgx.Tx, job.River) error     { return nil }

// open connects to the database for as long as the test runs.
func open(t *testing.T, url string, conns int32) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, postgres.Config{MaxConns: conns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// started makes a running job of demo's.
func started(ctx context.Context, db *postgres.DB) (job.Job, error) {
	j, err := db.CreateJob(ctx, job.New{Kind: "test", Owner: "demo", Title: "a test"}, noQueue{})
	if err != nil {
		return job.Job{}, err
	}
	return db.StartJob(ctx, j.ID, 1, "worker", nil)
}

// await tries until the condition holds, an error says why it never will, or
// patience ends.
func await(ctx context.Context, condition func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if ok, err := condition(ctx); ok || err != nil {
			return err
		}
		if err := rest(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// rest waits for the time, or returns ctx's error when that ends first.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// tail keeps the last of what processes say, for the report of a failure.
type tail struct {
	mu    sync.Mutex // guards the field below
	lines []string
}

func (l *tail) Write(p []byte) (int, error) {
	const most = 20
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSuffix(string(p), "\n"))
	if len(l.lines) > most {
		l.lines = l.lines[len(l.lines)-most:]
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// newTail returns a tail that is printed if the test fails.
func newTail(t *testing.T) *tail {
	t.Helper()
	l := new(tail)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last said by the processes:\n%s", l)
		}
	})
	return l
}
