package audit_test

import (
	"log/slog"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"herald/internal/archive"
	"herald/internal/eventlog"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is a log with small partitions, and a blob store for its archives.
type world struct {
	db       *postgres.DB
	session  eventlog.Session
	blobs    *blob.Bucket
	archives *archive.Store
}

// setup makes a log with partitions of so many events.
func setup(tb testing.TB, partition int64) *world {
	tb.Helper()
	db, err := postgres.Open(tb.Context(), pgtest.New(tb), postgres.Config{Partition: partition})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	session, err := db.Lead(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(session.Close)
	blobs := memblob.OpenBucket(nil)
	tb.Cleanup(func() {
		if err := blobs.Close(); err != nil {
			tb.Error(err)
		}
	})
	return &world{db: db, session: session, blobs: blobs, archives: archive.NewStore(blobs)}
}

// exec does something to the database that Herald would not.
func (w *world) exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := w.db.Pool().Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// grow appends n events, in batches of at most limit.
func (w *world) grow(tb testing.TB, n, limit int) {
	tb.Helper()
	w.exec(tb, `INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, payload)
		SELECT gen_random_uuid(), 'job.progress', ARRAY['job:0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e', 'user:ü', 'channel:c'],
			'0197f3c2-5d5e-7a6b-8a52-0c8a1b2c3d4e', n, 'worker-1',
			json_build_object('progress', n, 'message', repeat('x', 200), 'speed', '12.5x')
		FROM generate_series(1, $1) n`, n)
	var mark eventlog.Mark
	for n > 0 {
		batch, err := w.session.Sequence(tb.Context(), mark, limit)
		if err != nil {
			tb.Fatal(err)
		}
		n -= batch.Events
		if mark = (eventlog.Mark{}); batch.More {
			mark = eventlog.Mark{Within: &batch.Snapshot, After: batch.Last}
		}
	}
}

// retain runs retention once.
func (w *world) retain(tb testing.TB, config eventlog.RetentionConfig) {
	tb.Helper()
	if err := eventlog.NewRetention(w.db, slog.New(slog.DiscardHandler), config).Once(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}
