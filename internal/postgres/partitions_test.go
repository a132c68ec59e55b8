package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"

	"herald/internal/archive"
	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// kept is a log with partitions of ten events, and where they are archived.
type kept struct {
	*postgres.DB
	blobs    *blob.Bucket
	archives *archive.Store
}

// fullLog makes a log of 45 events: four full partitions, and half of one.
func fullLog(t *testing.T) kept {
	t.Helper()
	db := openSmall(t, 10)
	session := lead(t, db)
	post(t, db, 45, "user:a", "user:b", "user:c")
	for head := event.Seq(0); head < 45; {
		batch, err := session.Sequence(t.Context(), eventlog.Mark{}, 4)
		if err != nil {
			t.Fatal(err)
		}
		head = batch.Head
	}
	blobs, err := fileblob.OpenBucket(t.TempDir(), &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := blobs.Close(); err != nil {
			t.Error(err)
		}
	})
	return kept{DB: db, blobs: blobs, archives: archive.NewStore(blobs)}
}

// age makes the first partitions as old as that. Their chain is made anew.
func (k kept) age(t *testing.T, last int, by string) {
	t.Helper()
	for _, sql := range []string{
		`UPDATE herald.events SET recorded_at = recorded_at - $2::interval WHERE seq <= $1`,
		`UPDATE herald.log_batches SET recorded_at = recorded_at - $2::interval WHERE last_seq <= $1`,
	} {
		if _, err := k.Pool().Exec(t.Context(), sql, last, by); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Pool().Exec(t.Context(), `DO $$
		DECLARE b herald.log_batches; l bytea; d bytea := decode(repeat('00', 32), 'hex');
		BEGIN
			FOR b IN SELECT * FROM herald.log_batches ORDER BY last_seq LOOP
				l := (SELECT string_agg(herald.event_leaf(id, type, topics, job_id, job_version, actor, created_at, recorded_at, payload),
					'' ORDER BY seq) FROM herald.events WHERE seq BETWEEN b.first_seq AND b.last_seq);
				d := herald.batch_digest(d, b.first_seq, b.last_seq, b.recorded_at, l);
				UPDATE herald.log_batches SET leaves = l, digest = d WHERE last_seq = b.last_seq;
			END LOOP;
		END $$`); err != nil {
		t.Fatal(err)
	}
}

// once runs retention once.
func (k kept) once(t *testing.T, config eventlog.RetentionConfig) error {
	t.Helper()
	return eventlog.NewRetention(k.DB, slog.New(slog.DiscardHandler), config).Once(t.Context())
}

// check says that the log is kept from the floor on, that nothing below is left
// but an archive of it, and that its chain holds.
func (k kept) check(t *testing.T, floor event.Seq, archived bool) {
	t.Helper()
	from, head, beyond, err := k.Ends(t.Context())
	if err != nil || from.Seq != floor || head.Seq != 45 || beyond != 0 {
		t.Fatalf("Ends() = %v, %v, %v, %v, want %d to 45", from.Seq, head.Seq, beyond, err, floor)
	}
	v := chain.NewVerifier(from, nil)
	if err := errors.Join(k.Scan(t.Context(), floor, 45, v), v.End(head)); err != nil || v.Events() != int64(45-floor) {
		t.Errorf("%d events verify (%v), want %d", v.Events(), err, 45-floor)
	}
	if got, want := k.tables(t), 3*(6-int(floor)/10); len(got) != want {
		t.Errorf("%d tables of partitions are there, want %d: %v", len(got), want, got)
	}
	partitions, err := k.Dropped(t.Context())
	if err != nil || len(partitions) != int(floor)/10 {
		t.Fatalf("Dropped() = %v, %v, want %d", partitions, err, floor/10)
	}
	v = chain.NewVerifier(chain.Point{}, nil)
	for _, p := range partitions {
		if (p.Archive != nil) != archived {
			t.Errorf("partition to %d: archive %s, want %v", p.End.Seq, p.Archive, archived)
		}
		if !archived {
			continue
		}
		m, err := archive.ParseManifest(p.Archive)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.archives.Read(t.Context(), m, v, nil); err != nil || v.At() != p.End {
			t.Errorf("the archive to %d: %v", p.End.Seq, err)
		}
	}
}

// tables lists the tables of partitions, of the log or not any more.
func (k kept) tables(t *testing.T) []string {
	t.Helper()
	rows, err := k.Pool().Query(t.Context(), `SELECT relname FROM pg_class WHERE relnamespace = 'herald'::regnamespace
		AND relkind = 'r' AND relname ~ '^(events|event_topics|log_batches)_[0-9]+$' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRetention(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		config   eventlog.RetentionConfig
		archived bool
		floor    event.Seq
	}{
		{"young by default", eventlog.RetentionConfig{}, false, 0},
		{"old by default", eventlog.RetentionConfig{}, true, 20},
		{"by age", eventlog.RetentionConfig{Age: time.Hour}, true, 20},
		{"by age, without an archive", eventlog.RetentionConfig{Age: time.Hour}, false, 20},
		{"for ever", eventlog.RetentionConfig{Age: -1}, true, 0},
		{"by size: only what is full goes", eventlog.RetentionConfig{Age: -1, Size: 1}, true, 40},
		{"by size: room enough", eventlog.RetentionConfig{Age: -1, Size: 1 << 30}, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := fullLog(t)
			if tt.floor == 20 {
				k.age(t, 25, "100 days")
			}
			if tt.archived {
				tt.config.Archive = k.archives
			}
			if err := k.once(t, tt.config); err != nil {
				t.Fatal(err)
			}
			k.check(t, tt.floor, tt.archived)
		})
	}
}

func TestSizeLetsGoNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	k := fullLog(t)
	var one, whole int64
	if err := k.Pool().QueryRow(t.Context(), `SELECT sum(pg_total_relation_size(c.oid)) FILTER (WHERE relname ~ '_1$'),
		sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE relnamespace = 'herald'::regnamespace AND relkind = 'r'
		AND relname ~ '^(events|event_topics|log_batches)_[0-9]+$'`).Scan(&one, &whole); err != nil {
		t.Fatal(err)
	}
	if err := k.once(t, eventlog.RetentionConfig{Age: -1, Size: whole - one - 1, Archive: k.archives}); err != nil {
		t.Fatal(err)
	}
	k.check(t, 20, true)
}

var errCrash = errors.New("crashed here on purpose")

// crashing is a database, and its blob store, that fail when they are told to:
// before or after the work is done.
type crashing struct {
	*postgres.DB
	eventlog.Archive
	at string
}

type crashingKeeper struct {
	eventlog.Keeper
	at string
}

func (c crashing) Keep(ctx context.Context) (eventlog.Keeper, error) {
	k, err := c.DB.Keep(ctx)
	return crashingKeeper{k, c.at}, err
}

func (c crashing) Save(ctx context.Context, before, end chain.Point, fill func(chain.Sink) error) (json.RawMessage, error) {
	if c.at == "within the archive" {
		return c.Archive.Save(ctx, before, end, func(to chain.Sink) error { return errors.Join(fill(to), errCrash) })
	}
	m, err := c.Archive.Save(ctx, before, end, fill)
	if c.at == "after the archive" {
		return nil, errCrash
	}
	return m, err
}

func (c crashingKeeper) SetArchive(ctx context.Context, p eventlog.Partition, m json.RawMessage) error {
	err := c.Keeper.SetArchive(ctx, p, m)
	if c.at == "after the manifest" {
		return errCrash
	}
	return err
}

func (c crashingKeeper) SetDropped(ctx context.Context, p eventlog.Partition) error {
	err := c.Keeper.SetDropped(ctx, p)
	if c.at == "after the floor" {
		return errCrash
	}
	return err
}

// A crash at any point is made good by the next one, whatever it left.
func TestRetentionGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		at    string
		sql   []string // what was done before the crash behind the floor
		floor event.Seq
	}{
		{"within the archive", nil, 0},
		{"after the archive", nil, 0},
		{"after the manifest", nil, 0},
		{"after the floor", nil, 10},
		{"after the floor", []string{"ALTER TABLE herald.events DETACH PARTITION herald.events_1 CONCURRENTLY"}, 10},
		{"after the floor", []string{
			"ALTER TABLE herald.events DETACH PARTITION herald.events_1 CONCURRENTLY", "DROP TABLE herald.events_1",
			"ALTER TABLE herald.event_topics DETACH PARTITION herald.event_topics_1",
		}, 10},
		{"after the floor", []string{
			"ALTER TABLE herald.log_batches DETACH PARTITION herald.log_batches_1", "DROP TABLE herald.log_batches_1",
		}, 10},
	} {
		t.Run(fmt.Sprintf("%s %d", tt.at, len(tt.sql)), func(t *testing.T) {
			t.Parallel()
			k := fullLog(t)
			c := crashing{k.DB, k.archives, tt.at}
			config := eventlog.RetentionConfig{Age: -1, Size: 1, Archive: c}
			if err := eventlog.NewRetention(c, slog.New(slog.DiscardHandler), config).Once(t.Context()); !errors.Is(err, errCrash) {
				t.Fatalf("Once() = %v, want it to crash", err)
			}
			if floor, _, err := k.Bounds(t.Context()); err != nil || floor != tt.floor {
				t.Fatalf("the floor is %d (%v), want %d", floor, err, tt.floor)
			}
			for _, sql := range tt.sql {
				if _, err := k.Pool().Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			if tt.floor == 0 {
				k.check(t, 0, true)
			}
			if err := k.once(t, eventlog.RetentionConfig{Age: -1, Size: 1, Archive: k.archives}); err != nil {
				t.Fatal(err)
			}
			k.check(t, 40, true)
		})
	}
}

// Detaching waits for those who read the log, but not for long, and is left
// pending; neither new readers nor the sequencer wait behind it.
func TestRetentionDoesNotWaitForReaders(t *testing.T) {
	t.Parallel()
	k := fullLog(t)
	reader, err := k.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRow(t.Context(), "SELECT count(*) FROM herald.events").Scan(&n); err != nil || n != 45 {
		t.Fatal(n, err)
	}
	config := eventlog.RetentionConfig{Age: -1, Size: 1, Archive: k.archives}
	if err := k.once(t, config); err == nil {
		t.Fatal("Once() = nil, want it to be stopped by the reader")
	}
	var pending bool
	if err := k.Pool().QueryRow(t.Context(), `SELECT inhdetachpending FROM pg_inherits
		WHERE inhrelid = 'herald.events_1'::regclass`).Scan(&pending); err != nil || !pending {
		t.Errorf("pending = %v, %v, want the partition to be on its way out", pending, err)
	}
	if _, err := k.Pool().Exec(t.Context(), "SELECT herald.extend_log(10)"); err != nil {
		t.Errorf("the log cannot be extended: %v", err)
	}
	if _, err := k.Events(t.Context(), 0, 10); !errors.Is(err, event.ErrTooOld) {
		t.Errorf("Events() of what is on its way out = %v, want %v", err, event.ErrTooOld)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.once(t, config); err != nil {
		t.Fatal(err)
	}
	if got := k.tables(t); len(got) != 9 { // the half full one, the one ahead, and the one made above
		t.Errorf("tables %v are left, want those of three partitions", got)
	}
}

// What does not verify is not dropped: it would be gone without a trace.
func TestRetentionKeepsWhatDoesNotVerify(t *testing.T) {
	t.Parallel()
	k := fullLog(t)
	if _, err := k.Pool().Exec(t.Context(), "UPDATE herald.events SET actor = 'eve' WHERE seq = 15"); err != nil {
		t.Fatal(err)
	}
	err := k.once(t, eventlog.RetentionConfig{Age: -1, Size: 1, Archive: k.archives})
	var f *chain.FaultError
	if !errors.As(err, &f) || f.Seq != 15 || f.Kind != chain.Altered {
		t.Errorf("Once() = %v, want seq 15 altered", err)
	}
	if floor, _, err := k.Bounds(t.Context()); err != nil || floor != 10 {
		t.Errorf("the floor is %d (%v), want 10", floor, err)
	}
}

// An archive that has gone bad before its partition is dropped is made anew.
func TestRetentionChecksAnEarlierArchive(t *testing.T) {
	t.Parallel()
	k := fullLog(t)
	c := crashing{k.DB, k.archives, "after the manifest"}
	err := eventlog.NewRetention(c, slog.New(slog.DiscardHandler), eventlog.RetentionConfig{Age: -1, Size: 1, Archive: c}).Once(t.Context())
	if !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	list := k.blobs.List(&blob.ListOptions{Prefix: "log/"})
	for {
		object, err := list.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := k.blobs.Delete(t.Context(), object.Key); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.once(t, eventlog.RetentionConfig{Age: -1, Size: 1, Archive: k.archives}); err != nil {
		t.Fatal(err)
	}
	k.check(t, 40, true)
}

func TestOneKeeperAtATime(t *testing.T) {
	t.Parallel()
	k := fullLog(t)
	first, err := k.Keep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Keep(t.Context()); !errors.Is(err, eventlog.ErrNotKeeper) {
		t.Errorf("a second Keep() = %v, want %v", err, eventlog.ErrNotKeeper)
	}
	// Should two ever work at once, the second finds that the partition went.
	p, ok, err := first.Due(t.Context(), eventlog.Limits{Age: -1, Size: 1})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := first.SetDropped(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := first.SetDropped(t.Context(), p); err == nil {
		t.Error("SetDropped() twice = nil, want an error")
	}
	first.Close()
}

// Scan hands over the same, whatever form the server sends it in.
func TestScanReadsBothForms(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	var got [2][]event.Event
	for i, mode := range []string{"cache_statement", "simple_protocol"} {
		db, err := postgres.Open(t.Context(), url+"&default_query_exec_mode="+mode, postgres.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		if i == 0 {
			session := lead(t, db)
			post(t, db, 3, "user:ü", "")
			if _, err := db.Pool().Exec(t.Context(), `INSERT INTO herald.outbox (event_id, type, topics, job_id, job_version, actor, created_at, payload)
				VALUES (gen_random_uuid(), 'ü', '{all}', gen_random_uuid(), -1, 'ü', '1969-12-31 23:59:59.999999Z', E' {\n}')`); err != nil {
				t.Fatal(err)
			}
			if _, err := session.Sequence(t.Context(), eventlog.Mark{}, 10); err != nil {
				t.Fatal(err)
			}
		}
		sink := &collector{}
		if err := db.Scan(t.Context(), 0, 4, sink); err != nil {
			t.Fatal(err)
		}
		got[i] = sink.events
	}
	for i := range got[0] {
		a, b := fmt.Sprintf("%+v", got[0][i]), fmt.Sprintf("%+v", got[1][i])
		if a != b {
			t.Errorf("binary:\n%s\ntext:\n%s", a, b)
		}
	}
	if len(got[0]) != 4 || !slices.EqualFunc(got[0], got[1], func(a, b event.Event) bool { return a.ID == b.ID }) {
		t.Errorf("%d events and %d, want the same 4", len(got[0]), len(got[1]))
	}
}

type collector struct{ events []event.Event }

func (c *collector) Batch(chain.Batch) error { return nil }
func (c *collector) Event(e event.Event) error {
	c.events = append(c.events, e)
	return nil
}
