package main

import (
	"context"
	"errors"
	"time"

	"herald/internal/event"
	"herald/internal/postgres"
)

// resumeFromMemory has one client come back again and again to what it missed,
// which the broker still has in memory.
func (b *streamBench) resumeFromMemory(ctx context.Context) (err error) {
	s, err := b.session(ctx, setup{Engine: ours}, 1, userName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if _, err := s.fleet.connect(ctx, s.address, false); err != nil {
		return err
	}
	const batch = 100 // fewer than may wait for a client
	for int(s.head) < b.plan.missed {
		p := publishing{Events: min(batch, b.plan.missed-int(s.head)), Users: 1, Batch: batch}
		if _, err := s.publish(ctx, p); err != nil {
			return err
		}
	}
	return b.resume(ctx, s, "resume_memory_ms", 0, s.head, sumOf(0, s.head))
}

// resumeFromLog has it missed them so long ago that only the log has them, in a
// real database, beside as many that are not its own.
func (b *streamBench) resumeFromLog(ctx context.Context) (err error) {
	server, end, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := execute(ctx, server.URL("postgres"), "CREATE DATABASE stream"); err != nil {
		return err
	}
	url := server.URL("stream")
	if err := postgres.Migrate(ctx, url); err != nil {
		return err
	}
	db, err := postgres.Open(ctx, url, postgres.Config{})
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := grow(ctx, db, 3*b.plan.missed); err != nil {
		return err
	}
	s, err := b.session(ctx, setup{Engine: ours, Database: url}, 1, func(int) string { return "busy" })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	last := event.Seq(3 * b.plan.missed)
	return b.resume(ctx, s, "resume_log_ms", last-event.Seq(2*b.plan.missed), last, 0)
}

// resume has the session's one client resume from after one place, and notes how
// long it took until it had all that it missed.
func (b *streamBench) resume(ctx context.Context, s *session, key string, after, last event.Seq, sum int64) error {
	if err := b.profiled(s, ours); err != nil {
		return err
	}
	for range b.plan.resumes {
		s.fleet.hangUp()
		s.fleet.forget(after)
		e := s.fleet.expect(after, false, func(int) int { return b.plan.missed })
		began := time.Now()
		if _, err := s.fleet.connect(ctx, s.address, true); err != nil {
			return err
		}
		ended, err := e.await(ctx, last, sum)
		if err != nil {
			return err
		}
		b.taken.add(key, ours, milliseconds(ended.Sub(began)))
	}
	return nil
}

// storm has all clients come back at once after the node's restart, to events
// that each of them missed, and to one more that a tenth of them did.
func (b *streamBench) storm(ctx context.Context, s *session, engine string) error {
	const toAll = 20
	clients := len(s.fleet.clients)
	few := publishing{Events: max(clients/10, 1), Users: clients}
	for range b.plan.restarts {
		if _, err := s.publish(ctx, publishing{Events: 1}); err != nil {
			return err
		}
		s.fleet.hangUp()
		e := s.fleet.expect(s.head, false, func(i int) int { return toAll + few.of(i) })
		if _, err := s.ask(order{Publish: &publishing{Events: toAll}}); err != nil {
			return err
		}
		if _, err := s.ask(order{Publish: &few}); err != nil {
			return err
		}
		restarted, err := s.ask(order{Restart: true})
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := s.fleet.connect(ctx, restarted.Address, true); err != nil {
			return err
		}
		s.head += event.Seq(toAll + few.Events)
		ended, err := e.await(ctx, s.head, 0)
		if err != nil {
			return err
		}
		after, err := s.usage()
		if err != nil {
			return err
		}
		b.taken.add("storm_s", engine, ended.Sub(began).Seconds())
		b.taken.add("storm_queries", engine, float64(after.Queries))
	}
	return nil
}
