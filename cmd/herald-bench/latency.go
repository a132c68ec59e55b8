package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"herald/internal/bus/pgbus"
	"herald/internal/event"
	"herald/internal/postgres"
)

// latency measures, on a log that is otherwise idle, the time from a commit to
// the event in a reader's hand, on another connection, at 50 a second; and beside
// it what no log can be faster than on this machine: the same with NOTIFY in the
// writer's transaction and no log, and one durable transaction of one statement.
func latency(ctx context.Context, modes []*mode, p plan) ([]figure, error) {
	ours, err := follow(ctx, modes[len(modes)-1], p)
	if err != nil {
		return nil, err
	}
	theirs, err := listen(ctx, modes[1], p)
	if err != nil {
		return nil, err
	}
	var commits []float64
	if err := modes[0].db.StartNode(ctx, "bench"); err != nil {
		return nil, err
	}
	for range p.latencies {
		began := time.Now()
		if _, err := modes[0].db.BeatNode(ctx, "bench"); err != nil {
			return nil, err
		}
		commits = append(commits, milliseconds(time.Since(began)))
	}
	says := fmt.Sprintf("ms from the commit to the event in a reader's hand, 50/s (%d events)", len(ours))
	return []figure{
		{"idle_latency_p50_ms", quantile(ours, 0.5), says},
		{"idle_latency_p99_ms", quantile(ours, 0.99), says},
		{"naive_latency_p50_ms", quantile(theirs, 0.5), "the same with NOTIFY in the writer's transaction: no log, no order"},
		{"naive_latency_p99_ms", quantile(theirs, 0.99), "the same"},
		{"commit_p50_ms", quantile(commits, 0.5), "ms for one durable transaction of one statement, of which Herald's way has one more"},
	}, nil
}

// follow reads Herald's log as a broker does.
func follow(ctx context.Context, m *mode, p plan) ([]float64, error) {
	defer sequence(ctx, m.db)()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	grown := make(chan struct{}, 1)
	var group errgroup.Group
	group.Go(func() error {
		return pgbus.New(m.db.Session, postgres.LogChannel, slog.New(slog.DiscardHandler)).Follow(ctx, func(event.Seq) {
			select {
			case grown <- struct{}{}:
			default:
			}
		})
	})
	if _, err := m.db.RecordReport(ctx, m.jobs[0].ID, report(0)); err != nil { // so that a sequencer leads, and has disarmed the bell
		return nil, err
	}
	last, err := settle(ctx, m.db)
	if err != nil {
		return nil, err
	}
	waits, err := m.write(ctx, p.latencies, func(uuid.UUID) error {
		var err error
		last, err = next(ctx, m.db, last, grown)
		return err
	})
	cancel()
	return waits, errors.Join(err, group.Wait())
}

// listen hears of each transaction itself, and reads what it wrote.
func listen(ctx context.Context, m *mode, p plan) ([]float64, error) {
	conn, err := m.db.Session(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx) //nolint:errcheck // it was only listened to
	if _, err := conn.Exec(ctx, "LISTEN herald_bell"); err != nil {
		return nil, err
	}
	return m.write(ctx, p.latencies, func(id uuid.UUID) error {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
		var payload []byte
		return conn.QueryRow(ctx, "SELECT payload FROM herald.outbox WHERE event_id = $1", id).Scan(&payload)
	})
}

// write reports 50 times a second, and returns how long each event took from its
// commit until it was got.
func (m *mode) write(ctx context.Context, events int, get func(id uuid.UUID) error) ([]float64, error) {
	var waits []float64
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for i := range events {
		<-ticker.C
		out, err := m.db.RecordReport(ctx, m.jobs[0].ID, report(int64(i)))
		if err != nil {
			return nil, err
		}
		committed := time.Now()
		if err := get(out.Event.ID); err != nil {
			return nil, err
		}
		waits = append(waits, milliseconds(time.Since(committed)))
	}
	return waits, nil
}

// next waits for an event after the last, and returns its Seq.
func next(ctx context.Context, db *postgres.DB, last event.Seq, grown <-chan struct{}) (event.Seq, error) {
	for {
		events, err := db.Events(ctx, last, 10)
		if err != nil {
			return 0, err
		}
		if len(events) > 0 {
			return events[len(events)-1].Seq, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// takeover measures how long a log stands still when the leader's connection is
// ended and another sequencer waits: from then to the next event in the log.
func takeover(ctx context.Context, m *mode, p plan) ([]figure, error) {
	defer sequence(ctx, m.db)()
	defer sequence(ctx, m.db)()
	var waits []float64
	for i := range p.takeovers {
		last, err := settle(ctx, m.db)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if _, err := m.db.Pool().Exec(ctx, `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()`); err != nil {
			return nil, err
		}
		if _, err := m.db.RecordReport(ctx, m.jobs[0].ID, report(int64(i))); err != nil {
			return nil, err
		}
		for head := last; head == last; {
			if head, err = m.db.Head(ctx); err != nil {
				return nil, err
			}
		}
		waits = append(waits, milliseconds(time.Since(began)))
	}
	says := fmt.Sprintf("ms from the end of the leader's connection to the next event in the log (%d takeovers)", len(waits))
	return []figure{
		{"takeover_p50_ms", quantile(waits, 0.5), says},
		{"takeover_max_ms", quantile(waits, 1), says},
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// drained waits until the outbox is empty.
func drained(ctx context.Context, db *postgres.DB) error {
	return until(ctx, func() (bool, error) {
		backlog, err := db.Backlog(ctx)
		return backlog.Rows == 0, err
	})
}

// settle waits until the outbox is empty and the sequencer sleeps, and returns
// the log's head.
func settle(ctx context.Context, db *postgres.DB) (event.Seq, error) {
	if err := drained(ctx, db); err != nil {
		return 0, err
	}
	if err := until(ctx, func() (armed bool, err error) {
		err = db.Pool().QueryRow(ctx, "SELECT is_called FROM herald.bell").Scan(&armed)
		return armed, err
	}); err != nil {
		return 0, err
	}
	return db.Head(ctx)
}

// until looks every few milliseconds until it is so.
func until(ctx context.Context, so func() (bool, error)) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if yes, err := so(); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
