package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"herald/internal/broker"
	"herald/internal/bus/pgbus"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/httpapi"
	"herald/internal/hub"
	"herald/internal/postgres"
)

// The events of a log that is replayed are those of so many jobs. Every second
// one is owned by "busy", the others by so many owners in turn.
const (
	replayJobs   = 1000
	replayOwners = 300
)

// ceiling measures how fast a backlog is sequenced.
func ceiling(ctx context.Context, m *mode, p plan) ([]figure, error) {
	took, err := grow(ctx, m.db, p.backlog)
	if err != nil {
		return nil, err
	}
	says := fmt.Sprintf("events/s out of a backlog of %d, of %d jobs and %d owners", p.backlog, replayJobs, replayOwners)
	return []figure{{"sequence_events_per_s", float64(p.backlog) / took.Seconds(), says}}, nil
}

// grow puts n events into the outbox and returns how long it took to sequence
// them.
func grow(ctx context.Context, db *postgres.DB, n int) (time.Duration, error) {
	if _, err := db.Pool().Exec(ctx, `INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
		SELECT gen_random_uuid(), 'job.progress', ARRAY['job:' || id, 'user:' || CASE n % 2 WHEN 0 THEN 'busy' ELSE (n / 2 % $2)::text END], id, n, 'bench',
			json_build_object('id', id, 'version', n, 'text', repeat('x', 220))
		FROM (SELECT n, md5((n % $3)::text)::uuid AS id FROM generate_series(1, $1::int) n) jobs`, n, replayOwners, replayJobs); err != nil {
		return 0, err
	}
	session, err := db.Lead(ctx)
	if err != nil {
		return 0, err
	}
	defer session.Close()
	const batch = 5000
	began := time.Now()
	var mark eventlog.Mark
	for done := 0; done < n; {
		b, err := session.Sequence(ctx, mark, batch)
		if err != nil {
			return 0, err
		}
		done += b.Events
		mark = mark.Following(b)
	}
	took := time.Since(began)
	return took, db.Vacuum(ctx)
}

// replay measures how fast one client gets what it missed out of a long log: as
// frames of a stream, from the broker that it reconnects to.
func replay(ctx context.Context, m *mode, p plan) ([]figure, error) {
	const chunk = 250_000
	start, err := m.db.Head(ctx) // what is there already is of other jobs
	if err != nil {
		return nil, err
	}
	for grown := 0; grown < p.log; grown += chunk {
		if _, err := grow(ctx, m.db, min(chunk, p.log-grown)); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := slog.New(slog.DiscardHandler)
	streams := hub.New(hub.Config{})
	node := broker.New(m.db, pgbus.New(m.db.Session, postgres.LogChannel, log), streams, httpapi.EncodeEvent, log,
		broker.Config{Preload: 1})
	var group errgroup.Group
	group.Go(func() error { return streams.Run(ctx) })
	group.Go(func() error { return node.Run(ctx) })
	head, err := node.Head(ctx)
	if err != nil {
		return nil, err
	}
	r := replayer{node: node, start: start, length: int(head - start)}
	figures, err := r.measure(ctx, p)
	cancel()
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return figures, err
}

// replayer is a client that comes back again and again.
type replayer struct {
	node   *broker.Broker
	start  event.Seq // behind it are the events that are replayed
	length int
}

func (r replayer) measure(ctx context.Context, p plan) ([]figure, error) {
	var dense, sparse, first []float64
	span := min(r.length, 300_000)
	for i := range p.rounds {
		after := r.start + event.Seq(rand.IntN(r.length-span+1))
		n, _, took, err := r.resume(ctx, "user:busy", after, span/2*9/10)
		if err != nil {
			return nil, err
		}
		dense = append(dense, float64(n)/took.Seconds())
		if n, _, took, err = r.resume(ctx, owner(i), r.start, r.length/replayOwners/2*9/10); err != nil {
			return nil, err
		}
		sparse = append(sparse, float64(n)/took.Seconds())
	}
	for i := range 20 * p.rounds {
		after := r.start + event.Seq(rand.IntN(r.length/2))
		_, took, _, err := r.resume(ctx, owner(i), after, 1)
		if err != nil {
			return nil, err
		}
		first = append(first, milliseconds(took))
	}
	in := fmt.Sprintf("in a log of %d", r.length)
	return []figure{
		{"replay_events_per_s", quantile(dense, 0.5), fmt.Sprintf("events/s to a client that follows every second %s (median of %d)", in, len(dense))},
		{"replay_sparse_events_per_s", quantile(sparse, 0.5), fmt.Sprintf("the same for one that follows every %dth (median of %d)", 2*replayOwners, len(sparse))},
		{"replay_first_ms", quantile(first, 0.5), fmt.Sprintf("ms to the first frames of such a client %s (median of %d)", in, len(first))},
		{"replay_first_p99_ms", quantile(first, 0.99), "the same, 99th percentile"},
	}, nil
}

func owner(n int) event.Topic { return event.UserTopic(fmt.Sprint(n % replayOwners)) }

// resume follows the topic from a cursor on until it has so many frames, and
// returns how many it got, and when it had the first and the last.
func (r replayer) resume(
	ctx context.Context, topic event.Topic, after event.Seq, enough int,
) (n int, first, last time.Duration, err error) {
	began := time.Now()
	missed, err := r.node.Subscribe(ctx, broker.Reading{Topics: []event.Topic{topic, event.Everyone}, After: after})
	if err != nil {
		return 0, 0, 0, err
	}
	for n < enough {
		frames, err := missed.Next(ctx)
		if err != nil {
			return 0, 0, 0, err
		}
		if n == 0 {
			first = time.Since(began)
		}
		n += len(frames)
		if len(frames) == 0 && missed.Join(func(rest []*hub.Frame, _ event.Seq) { n += len(rest) }) && n < enough {
			return 0, 0, 0, fmt.Errorf("the log has %d events of %s after %d, and %d were to be read", n, topic, after, enough)
		}
	}
	return n, first, time.Since(began), nil
}
