package logtest_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"herald/internal/broker"
	"herald/internal/broker/brokertest"
	"herald/internal/bus/pgbus"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/hub"
	"herald/internal/job"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// heapBound is what the heap may grow by while a backlog goes through sequencer,
// broker and subscriber, however long it is.
const heapBound = 64 << 20

// A sequencer that starts finds a long backlog. It goes into the log in order,
// batch by batch, and through a broker to a subscriber, none of which holds more
// of it than it may. Afterwards a single event rings the bell, as ever.
func TestBacklog(t *testing.T) { //nolint:paralleltest // it looks at the heap
	backlog := 50_000
	if soak(t) > 0 {
		backlog = 1_000_000
	}
	ctx := t.Context()
	db := open(t, pgtest.New(t), 8)
	j, err := started(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	insertBacklog(t, db, j, backlog)

	log := slog.New(slog.DiscardHandler)
	streams := hub.New(hub.Config{})
	n := node{broker.New(db, pgbus.New(db.Session, postgres.LogChannel, log), streams, encodeToken, log,
		broker.Config{Memory: 4 << 20}), streams}
	store := &countingStore{Store: db, most: 5000}
	heap := heapNow()
	working, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return n.run(working) })
	group.Go(func() error {
		return eventlog.NewSequencer(store, log, eventlog.Config{Batch: store.most, Poll: time.Hour}).Run(working)
	})
	began := time.Now()
	last := event.Seq(backlog + 2)
	if err := followJob(ctx, n, j, last); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	awaitArmed(t, db)
	if _, err := db.RecordReport(ctx, j.ID, job.Report{Attempt: 1, Message: "after the backlog"}); err != nil {
		t.Fatal(err)
	}
	if err := awaitHead(ctx, db, last+1); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d events in %v, %d batches; the heap grew by at most %d KiB", backlog, took.Round(time.Millisecond),
		store.batches, max(0, store.heap-heap)>>10)
	if grown := store.heap - heap; grown > heapBound {
		t.Errorf("the heap grew by %d bytes, want at most %d", grown, heapBound)
	}
	if store.fault != nil {
		t.Error(store.fault)
	}
	var misplaced int
	if err := db.Pool().QueryRow(ctx, "SELECT count(*) FROM herald.events WHERE seq <> job_version").Scan(&misplaced); err != nil || misplaced != 0 {
		t.Errorf("%d events stand out of order, %v", misplaced, err)
	}
}

// insertBacklog puts events of the job into the outbox, whose versions are to
// become their seqs.
func insertBacklog(t *testing.T, db *postgres.DB, j job.Job, n int) {
	t.Helper()
	const most = 100_000 // in a transaction
	for first := 0; first < n; first += most {
		if _, err := db.Pool().Exec(t.Context(), `
			WITH moved AS (UPDATE herald.jobs SET version = version + $2 WHERE id = $1 RETURNING version - $2 AS before)
			INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
			SELECT gen_random_uuid(), 'job.message', ARRAY['job:' || $1::uuid, 'user:demo'], $1, before + n, 'test',
				json_build_object('details', json_build_object('token', 'b' || before + n), 'text', repeat('x', 200))
			FROM moved, generate_series(1, $2::int) n ORDER BY n`, j.ID, min(most, n-first)); err != nil {
			t.Fatal(err)
		}
	}
}

// followJob reads the job's events as a client does who never waits for long,
// and comes back when it was too slow.
func followJob(ctx context.Context, n node, j job.Job, last event.Seq) error {
	ctx, cancel := context.WithTimeout(ctx, 10*patience)
	defer cancel()
	for seq := event.Seq(0); seq < last; {
		stream, err := brokertest.Subscribe(ctx, n.broker, n.hub, []event.Topic{event.JobTopic(j.ID)}, seq)
		if err != nil {
			return fmt.Errorf("subscribe after %d: %w", seq, err)
		}
		for err == nil && seq < last {
			var frames []*hub.Frame
			frames, err = stream.Next(ctx)
			for _, f := range frames {
				if seq++; f.Seq != seq {
					stream.Close()
					return fmt.Errorf("the subscriber got seq %d where %d belongs", f.Seq, seq)
				}
			}
		}
		stream.Close()
		if ctx.Err() != nil {
			return fmt.Errorf("the subscriber has got %d of %d: %w", seq, last, err)
		}
	}
	return nil
}

// awaitArmed waits until the sequencer has nothing to do.
func awaitArmed(t *testing.T, db *postgres.DB) {
	t.Helper()
	if err := await(t.Context(), func(ctx context.Context) (bool, error) {
		var armed bool
		err := db.Pool().QueryRow(ctx, "SELECT is_called FROM herald.bell").Scan(&armed)
		return armed, err
	}); err != nil {
		t.Fatalf("the bell is not armed: %v", err)
	}
}

func heapNow() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// countingStore looks at each batch, and at the heap after it. Its fields belong
// to the sequencer until that has returned.
type countingStore struct {
	eventlog.Store
	most    int
	head    event.Seq
	batches int
	heap    int64
	fault   error
}

func (s *countingStore) Lead(ctx context.Context) (eventlog.Session, error) {
	session, err := s.Store.Lead(ctx)
	return countingSession{session, s}, err
}

type countingSession struct {
	eventlog.Session
	store *countingStore
}

func (s countingSession) Sequence(ctx context.Context, mark eventlog.Mark, limit int) (eventlog.Batch, error) {
	batch, err := s.Session.Sequence(ctx, mark, limit)
	if err != nil || batch.Events == 0 {
		return batch, err
	}
	c := s.store
	c.batches++
	if c.head += event.Seq(batch.Events); batch.Events > c.most || batch.Head != c.head {
		c.fault = fmt.Errorf("a batch of %d events moved the head to %d, want at most %d and %d", batch.Events, batch.Head, c.most, c.head)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.heap = max(c.heap, int64(m.HeapInuse))
	return batch, err
}
