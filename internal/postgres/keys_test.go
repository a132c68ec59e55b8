package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/job"
	"herald/internal/postgres"
)

// ask makes one request under a key in a transaction of its own, and returns the
// id of the event that answers it.
type ask func(ctx context.Context, tx pgx.Tx, key string) (uuid.UUID, error)

// asks are the four ways to ask, by name. Those that report and those that
// publish say the same.
func asks(db *postgres.DB, j job.Job) map[string]ask {
	report := func(key string) job.Report {
		return job.Report{Attempt: 1, Message: "once", Progress: new(0.1), Key: key}
	}
	publication := func(key string) event.Publication {
		p := notice("once")
		p.Key = key
		return p
	}
	return map[string]ask{
		"Go reports": func(ctx context.Context, tx pgx.Tx, key string) (uuid.UUID, error) {
			out, err := db.RecordReportTx(ctx, tx, j.ID, report(key))
			if err != nil {
				return uuid.Nil, err
			}
			return out.Event.ID, nil
		},
		"SQL reports": func(ctx context.Context, tx pgx.Tx, key string) (uuid.UUID, error) {
			a, err := sqlReport(ctx, tx, j.ID, report(key))
			if err != nil {
				return uuid.Nil, err
			}
			return *a.EventID, nil
		},
		"Go publishes": func(ctx context.Context, tx pgx.Tx, key string) (uuid.UUID, error) {
			published, err := db.PublishTx(ctx, tx, publication(key))
			if err != nil {
				return uuid.Nil, err
			}
			return published.IDs[0], nil
		},
		"SQL publishes": func(ctx context.Context, tx pgx.Tx, key string) (uuid.UUID, error) {
			return sqlPublish(ctx, tx, publication(key))
		},
	}
}

// pairs are all ways to ask first and again.
func pairs() [][2]string {
	return [][2]string{
		{"Go reports", "Go reports"},
		{"SQL reports", "SQL reports"},
		{"Go reports", "SQL reports"},
		{"SQL reports", "Go reports"},
		{"Go publishes", "Go publishes"},
		{"SQL publishes", "SQL publishes"},
		{"Go publishes", "SQL publishes"},
		{"SQL publishes", "Go publishes"},
	}
}

// eachPair runs the test for each pair on a job that has started.
func eachPair(t *testing.T, run func(t *testing.T, db *postgres.DB, first, second ask)) {
	t.Helper()
	for _, p := range pairs() {
		t.Run(p[0]+", "+p[1], func(t *testing.T) {
			t.Parallel()
			db := open(t)
			all := asks(db, started(t, db, &queue{}, "w"))
			run(t, db, all[p[0]], all[p[1]])
		})
	}
}

// committed asks in a transaction that commits.
func committed(t *testing.T, db *postgres.DB, how ask, key string) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	if err := pgx.BeginFunc(t.Context(), db.Pool(), func(tx pgx.Tx) (err error) {
		id, err = how(t.Context(), tx, key)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAskedByFiftyAtOnce(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, db *postgres.DB, first, second ask) {
		t.Helper()
		before := outboxed(t, db.Pool())
		ids := make([]uuid.UUID, 50)
		var group sync.WaitGroup
		for i := range ids {
			group.Go(func() { ids[i] = committed(t, db, []ask{first, second}[i%2], "k") })
		}
		group.Wait()
		for _, id := range ids {
			if id != ids[0] || id == uuid.Nil {
				t.Errorf("answered with %s and %s, want the same event", ids[0], id)
			}
		}
		if n := outboxed(t, db.Pool()) - before; n != 1 {
			t.Errorf("%d events, want 1", n)
		}
	})
}

// blocked waits until a session of the database waits for another one's lock.
func blocked(t *testing.T, db *postgres.DB) {
	t.Helper()
	for count(t, db.Pool(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestTheNextGetsInWhenTheFirstRollsBack(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, db *postgres.DB, first, second ask) {
		t.Helper()
		before := outboxed(t, db.Pool())
		holder := begin(t, db, pgx.ReadCommitted)
		undone, err := first(t.Context(), holder, "k")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan uuid.UUID)
		go func() { got <- committed(t, db, second, "k") }()
		blocked(t, db)
		if err := holder.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if id := <-got; id == undone || id == uuid.Nil {
			t.Errorf("answered with %s, want an event of its own, since that of %s was undone", id, undone)
		}
		if n := outboxed(t, db.Pool()) - before; n != 1 {
			t.Errorf("%d events, want 1", n)
		}
	})
}

func TestAKeyCountsAsUnseenOnceItHasExpired(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, db *postgres.DB, first, second ask) {
		t.Helper()
		id := committed(t, db, first, "k")
		if again := committed(t, db, second, "k"); again != id {
			t.Errorf("answered with %s, want %s again", again, id)
		}
		execute(t, db.Pool(), `UPDATE herald.idempotency_keys SET expires_at = now()`)
		fresh := committed(t, db, second, "k")
		if fresh == id {
			t.Errorf("answered with %s from an expired key", fresh)
		}
		if again := committed(t, db, first, "k"); again != fresh {
			t.Errorf("answered with %s, want %s, which the key now stands for", again, fresh)
		}
		if n := count(t, db.Pool(), `SELECT count(*) FROM herald.idempotency_keys
			WHERE expires_at BETWEEN now() + interval '23 hours' AND now() + interval '25 hours'`); n != 1 {
			t.Errorf("%d keys that live for a day, want 1", n)
		}
	})
}

// Above READ COMMITTED a transaction cannot see an answer that was committed
// after its snapshot: it is told to try again, whether or not it had to wait,
// and then gets the first answer.
func TestAKeyUnderRepeatableRead(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, db *postgres.DB, first, second ask) {
		t.Helper()
		tx := begin(t, db, pgx.RepeatableRead)
		execute(t, tx, "SELECT 1 FROM herald.jobs") // takes the snapshot
		id := committed(t, db, first, "k")
		_, err := second(t.Context(), tx, "k")
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "40001" {
			t.Fatalf("asked from before the first answer: %v, want 40001", err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		again, err := second(t.Context(), begin(t, db, pgx.RepeatableRead), "k")
		if err != nil || again != id {
			t.Errorf("asked anew: %s, %v, want %s", again, err, id)
		}
	})
}

// A late report changes no row that a snapshot would find changed, so that there
// the key alone has to tell.
func TestALateReportsKeyUnderRepeatableRead(t *testing.T) {
	t.Parallel()
	for _, p := range pairs()[:4] {
		t.Run(p[0]+", "+p[1], func(t *testing.T) {
			t.Parallel()
			db := open(t)
			j := started(t, db, &queue{}, "w")
			if _, err := db.RecordReport(t.Context(), j.ID, job.Report{Attempt: 1, State: job.Succeeded}); err != nil {
				t.Fatal(err)
			}
			tx := begin(t, db, pgx.RepeatableRead)
			execute(t, tx, "SELECT 1 FROM herald.jobs")
			committed(t, db, asks(db, j)[p[0]], "k")
			_, err := asks(db, j)[p[1]](t.Context(), tx, "k")
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "40001" {
				t.Errorf("asked from before the first answer: %v, want 40001", err)
			}
		})
	}
}

func TestAKeyIsOfOneRequestAndOneScope(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	one, other := started(t, db, q, "w"), started(t, db, q, "w")
	r := job.Report{Attempt: 1, Message: "once", Key: "k"}
	p := notice("once")
	p.Key = "k"
	before := outboxed(t, db.Pool())
	for _, j := range []job.Job{one, other} {
		if out, err := db.RecordReport(t.Context(), j.ID, r); err != nil || out.Repeated {
			t.Errorf("RecordReport(of another job, same key) = %+v, %v, want it recorded", out, err)
		}
	}
	for _, actor := range []string{"shop", "stock"} {
		p.Actor = actor
		if _, err := db.Publish(t.Context(), p); err != nil {
			t.Errorf("Publish(by %s, same key) = %v, want it published", actor, err)
		}
	}
	r.Message, p.Notices[0].Payload = "twice", json.RawMessage(`{"text": "once"}`)
	_, reportErr := db.RecordReport(t.Context(), one.ID, r)
	_, publishErr := db.Publish(t.Context(), p)
	p.Notices = append(notice("once").Notices, notice("once").Notices...)
	_, manyErr := db.Publish(t.Context(), p)
	for name, err := range map[string]error{"RecordReport": reportErr, "Publish": publishErr, "Publish(two)": manyErr} {
		if !errors.Is(err, event.ErrKeyReused) {
			t.Errorf("%s(another request, same key) = %v, want %v", name, err, event.ErrKeyReused)
		}
	}
	if n := outboxed(t, db.Pool()) - before; n != 4 {
		t.Errorf("%d events, want the four that have a key of their own", n)
	}
}

func TestARepeatCompletesNothing(t *testing.T) {
	t.Parallel()
	db, q := open(t), &queue{}
	j := started(t, db, q, "w")
	r := job.Report{Attempt: 1, State: job.Succeeded, Key: "k"}
	completed := 0
	complete := func(context.Context, pgx.Tx) error { completed++; return nil }
	first, err := db.FinishJob(t.Context(), j.ID, r, complete)
	if err != nil {
		t.Fatal(err)
	}
	again, err := db.FinishJob(t.Context(), j.ID, r, complete)
	want := job.Outcome{
		Job:      job.Job{ID: j.ID, Version: first.Job.Version, Attempt: 1, State: job.Succeeded},
		Event:    &event.Pending{ID: first.Event.ID, JobID: j.ID, JobVersion: first.Job.Version},
		Repeated: true,
	}
	if diff := cmp.Diff(want, again); diff != "" || err != nil || completed != 1 {
		t.Errorf("FinishJob(again): %v, completed %d times, -want +got:\n%s", err, completed, diff)
	}
}

func TestRetentionRemovesExpiredKeys(t *testing.T) {
	t.Parallel()
	db := open(t)
	const insert = `INSERT INTO herald.idempotency_keys (scope, key, fingerprint, answer, expires_at)
		SELECT 'publish:shop', n, sha256(''), '{}', now() + $2::interval FROM generate_series($3::int, $1::int) n`
	execute(t, db.Pool(), insert, 25_000, "-1 second", 1)
	execute(t, db.Pool(), insert, 25_003, "1 hour", 25_001)
	if err := eventlog.NewRetention(db, slog.New(slog.DiscardHandler), eventlog.RetentionConfig{}).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db.Pool(), "SELECT count(*) FROM herald.idempotency_keys"); n != 3 {
		t.Errorf("%d keys left, want the three that have not expired", n)
	}
}
