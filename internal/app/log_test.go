package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"herald/internal/broker"
	"herald/internal/bus/pgbus"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// noQueue is a queue that nobody works.
type noQueue struct{}

func (noQueue) EnqueueTx(context.Context, pgx.Tx, job.Job) (int64, error) { return 1, nil }
func (noQueue) CancelTx(context.Context, pgx.Tx, int64) error             { return nil }

// errRolledBack ends a transaction that a writer gives up on purpose.
var errRolledBack = errors.New("rolled back on purpose")

// 200 jobs report at once, with transactions that are rolled back, while the
// sequencer is killed again and again and a subscriber reconnects at random.
// Every committed event reaches it once and in order, and the log has no gap.
func TestNothingIsLostWhileSequencersDie(t *testing.T) {
	t.Parallel()
	const jobs, reports = 200, 20
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	url := pgtest.New(t)
	db, err := postgres.Open(ctx, url, postgres.Config{MaxConns: 24})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := newWorld(db)

	background, stop := context.WithCancel(ctx)
	var others errgroup.Group
	others.Go(func() error { return w.killSequencers(background) })
	others.Go(func() error { return w.broker.Run(background) })
	reader := w.reader()
	others.Go(func() error { return reader.run(background) })

	var writers errgroup.Group
	writers.SetLimit(16)
	for i := range jobs {
		writers.Go(func() error { return w.work(ctx, i, reports) })
	}
	if err := writers.Wait(); err != nil {
		t.Fatal(err)
	}
	want := w.committed()
	reader.wait(ctx, len(want))
	stop()
	if err := others.Wait(); err != nil {
		t.Error(err)
	}
	w.check(t, want, reader.events)
	t.Logf("%d events, %d sequencers killed, %d reconnects", len(want), w.kills, reader.connects)
}

// world is a database with its writers, sequencers and broker.
type world struct {
	db     *postgres.DB
	log    *slog.Logger
	broker *broker.Broker
	kills  int

	mu     sync.Mutex // guards the fields below
	events []committed
}

// committed is what a writer knows of an event when its transaction has committed.
type committed struct {
	job     uuid.UUID
	version int64
}

func newWorld(db *postgres.DB) *world {
	w := &world{db: db, log: slog.New(slog.DiscardHandler)}
	w.broker = broker.New(db, pgbus.New(db.Session, postgres.LogChannel, w.log), hub.New(hub.Config{}),
		func(e event.Event) ([]byte, error) { return []byte(fmt.Sprintf("%s %d", e.JobID, e.JobVersion)), nil },
		w.log, broker.Config{Memory: 64 << 10, Page: 100})
	return w
}

// killSequencers runs two sequencers and, every few milliseconds, kills one:
// sometimes its context, sometimes its connection.
func (w *world) killSequencers(ctx context.Context) error {
	run := func(ctx context.Context) error {
		return eventlog.NewSequencer(w.db, w.log, eventlog.Config{Batch: 50, Standby: 5 * time.Millisecond}).Run(ctx)
	}
	var group errgroup.Group
	group.Go(func() error { return run(ctx) })
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(150))*time.Millisecond)
		group.Go(func() error { return run(short) })
		<-short.Done()
		cancel()
		_, err := w.db.Pool().Exec(ctx, `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE l.locktype = 'advisory' AND d.datname = current_database()`)
		if err != nil && ctx.Err() == nil {
			return err
		}
		w.kills++
	}
	return group.Wait()
}

// work makes one job and reports on it; every fifth report is rolled back.
func (w *world) work(ctx context.Context, n, reports int) error {
	j, err := w.db.CreateJob(ctx, job.New{Kind: "test", Owner: "demo", Title: fmt.Sprintf("job %d", n)}, noQueue{})
	if err != nil {
		return err
	}
	w.note(j)
	if j, err = w.db.StartJob(ctx, j.ID, 1, "w", nil); err != nil {
		return err
	}
	w.note(j)
	for i := range reports {
		share := float64(i+1) / float64(reports)
		r := job.Report{Attempt: 1, Progress: &share, Message: fmt.Sprintf("report %d", i)}
		err := pgx.BeginFunc(ctx, w.db.Pool(), func(tx pgx.Tx) error {
			out, err := w.db.RecordReportTx(ctx, tx, j.ID, r)
			if err == nil && rand.IntN(5) == 0 {
				return errRolledBack
			}
			j = out.Job
			return err
		})
		switch {
		case errors.Is(err, errRolledBack):
		case err != nil:
			return err
		default:
			w.note(j)
		}
	}
	return nil
}

func (w *world) note(j job.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, committed{j.ID, j.Version})
}

func (w *world) committed() []committed {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// check compares what was committed with the log and with what the reader got.
func (w *world) check(t *testing.T, want []committed, got []received) {
	t.Helper()
	next := make(map[uuid.UUID]int64)
	last := event.Seq(0)
	for _, e := range got {
		if e.seq <= last {
			t.Fatalf("seq %d came after %d", e.seq, last)
		}
		last = e.seq
		next[e.job]++
		if e.version != next[e.job] {
			t.Fatalf("version %d of job %s came where %d belongs", e.version, e.job, next[e.job])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("the reader got %d events of %d", len(got), len(want))
	}
	for _, e := range want {
		if next[e.job] < e.version {
			t.Fatalf("the reader never got version %d of job %s", e.version, e.job)
		}
	}
	floor, head, err := w.db.Bounds(context.Background())
	if err != nil || floor != 0 || head != event.Seq(len(want)) {
		t.Fatalf("the log goes from %d to %d (%v), want 0 to %d", floor, head, err, len(want))
	}
}

// reader follows user:demo and reconnects at random.
type reader struct {
	broker   *broker.Broker
	connects int
	events   []received // owned by run until it has returned

	mu    sync.Mutex // guards the fields below
	count int
	grown chan struct{}
}

type received struct {
	seq     event.Seq
	job     uuid.UUID
	version int64
}

func (w *world) reader() *reader { return &reader{broker: w.broker, grown: make(chan struct{}, 1)} }

func (r *reader) run(ctx context.Context) error {
	cursor := event.Seq(0)
	for ctx.Err() == nil {
		s, err := r.broker.Subscribe(ctx, []event.Topic{"user:demo"}, cursor)
		if err != nil {
			if ctx.Err() != nil {
				continue
			}
			return err
		}
		r.connects++
		for range rand.IntN(20) {
			short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			frames, err := s.Next(short)
			cancel()
			for _, f := range frames {
				e := received{seq: f.Seq}
				var id string
				if _, err := fmt.Sscan(string(f.Bytes), &id, &e.version); err != nil {
					return err
				}
				e.job = uuid.MustParse(id)
				r.events = append(r.events, e)
				cursor = f.Seq
			}
			r.got(len(frames))
			if err != nil {
				break
			}
		}
		s.Close()
	}
	return nil
}

func (r *reader) got(n int) {
	r.mu.Lock()
	r.count += n
	r.mu.Unlock()
	select {
	case r.grown <- struct{}{}:
	default:
	}
}

// wait blocks until the reader has got so many events, or ctx ends.
func (r *reader) wait(ctx context.Context, n int) {
	for {
		r.mu.Lock()
		enough := r.count >= n
		r.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-r.grown:
		}
	}
}
