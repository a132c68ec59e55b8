package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/chain"
	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// openSmall returns a fresh database whose log has partitions of so many events.
func openSmall(t *testing.T, partition int64) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), pgtest.New(t), postgres.Config{Partition: partition})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// lead returns the session of the database's leader.
func lead(t *testing.T, db *postgres.DB) eventlog.Session {
	t.Helper()
	session, err := db.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

// post puts n events with those topics into the outbox, in one transaction.
func post(t *testing.T, db *postgres.DB, n int, topics ...string) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), `INSERT INTO herald.outbox (event_id, type, topics, payload)
		SELECT gen_random_uuid(), 'test', $2, json_build_object('n', n) FROM generate_series(1, $1) n`, n, topics); err != nil {
		t.Fatal(err)
	}
}

// all reads the whole log.
func all(t *testing.T, db *postgres.DB) []event.Event {
	t.Helper()
	floor, _, err := db.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events, err := db.Events(t.Context(), floor, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// checkChain computes the whole chain anew.
func checkChain(t *testing.T, db *postgres.DB) []chain.Batch {
	t.Helper()
	batches, err := db.Batches(t.Context(), 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	var (
		hasher chain.Hasher
		digest chain.Digest
		next   event.Seq = 1
	)
	events := all(t, db)
	for _, b := range batches {
		if b.First != next {
			t.Fatalf("a batch begins with %d, want %d", b.First, next)
		}
		for ; next <= b.Last; next++ {
			if e := events[next-1]; e.Seq != next || hasher.Leaf(e) != b.Leaf(next) {
				t.Fatalf("event %+v is not what the batch %d to %d says", e, b.First, b.Last)
			}
		}
		if digest = b.Next(digest); digest != b.Digest {
			t.Fatalf("the digest of batch %d to %d is %x, want %x", b.First, b.Last, b.Digest, digest)
		}
	}
	if int(next) != len(events)+1 {
		t.Fatalf("the chain has %d events, the log %d", next-1, len(events))
	}
	return batches
}

func TestTheChainIsWhatPostgresSays(t *testing.T) {
	t.Parallel()
	db := openSmall(t, 0)
	id := uuid.Must(uuid.NewV7())
	for _, payload := range []string{`{}`, `null`, "{ \"a\" :\n\"ü\\u0000\U0001f3ac\" }", `[1.50, 1e400]`, `"` + string(make19(60_000)) + `"`} {
		if _, err := db.Pool().Exec(t.Context(), `INSERT INTO herald.outbox
			(event_id, type, topics, job_id, job_version, actor, created_at, payload) VALUES
			(gen_random_uuid(), 'test.ü', ARRAY['user:ü', 'all'], $1, 9223372036854775807, 'ü', '1970-01-01 00:00:00.000001Z', $2),
			(gen_random_uuid(), '', ARRAY['all'], NULL, 0, '', '9999-12-31 23:59:59.999999Z', $2)`, id, json.RawMessage(payload)); err != nil {
			t.Fatal(err)
		}
	}
	session := lead(t, db)
	for _, limit := range []int{1, 3, 100} {
		if _, err := session.Sequence(t.Context(), eventlog.Mark{}, limit); err != nil {
			t.Fatal(err)
		}
	}
	if batches := checkChain(t, db); len(batches) != 3 {
		t.Errorf("%d batches, want 3", len(batches))
	}
}

func make19(n int) []byte {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('0' + i*i%10)
	}
	return text
}

func TestABatchLiesWithinOnePartition(t *testing.T) {
	t.Parallel()
	db := openSmall(t, 7)
	session := lead(t, db)
	post(t, db, 40, "user:a", "user:b", "user:c")
	var mark eventlog.Mark
	for {
		batch, err := session.Sequence(t.Context(), mark, 5)
		if err != nil {
			t.Fatal(err)
		}
		if batch.Events == 0 {
			break
		}
		mark = eventlog.Mark{Within: &batch.Snapshot, After: batch.Last}
	}
	for _, b := range checkChain(t, db) {
		if (b.First-1)/7 != (b.Last-1)/7 {
			t.Errorf("batch %d to %d lies across the end of a partition", b.First, b.Last)
		}
	}
	for _, topic := range []event.Topic{"user:a", "user:b", "user:c"} {
		for after := event.Seq(0); after < 40; after += 13 {
			events, err := db.EventsOfTopics(t.Context(), []event.Topic{topic, "user:a"}, after, 39, 9)
			if want := min(9, 39-int(after)); err != nil || len(events) != want || want > 0 && events[0].Seq != after+1 {
				t.Errorf("EventsOfTopics(%s after %d) = %d events, %v, want %d", topic, after, len(events), err, want)
			}
		}
	}
}

// A scan that is cut goes on with what it saw, so that a job's later report,
// committed meanwhile, does not overtake an earlier one that the scan has yet to
// come to.
func TestACutScanKeepsToItsSnapshot(t *testing.T) {
	t.Parallel()
	db := openSmall(t, 0)
	session := lead(t, db)
	open, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Rollback(t.Context()) //nolint:errcheck // it is committed
	insert := func(tx interface {
		QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	}, name string,
	) {
		var id int64
		if err := tx.QueryRow(t.Context(), `INSERT INTO herald.outbox (event_id, type, topics, payload)
			VALUES (gen_random_uuid(), $1, '{all}', '{}') RETURNING id`, name).Scan(&id); err != nil {
			t.Fatal(err)
		}
	}
	insert(open, "late-1")
	for i := range 6 {
		insert(db.Pool(), fmt.Sprintf("seen-%d", i))
	}
	first, err := session.Sequence(t.Context(), eventlog.Mark{}, 3)
	if err != nil || !first.More {
		t.Fatalf("Sequence() = %+v, %v, want a batch that was cut", first, err)
	}
	insert(open, "late-2")
	if err := open.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	mark := eventlog.Mark{Within: &first.Snapshot, After: first.Last}
	second, err := session.Sequence(t.Context(), mark, 4)
	if err != nil || second.Events != 3 || second.More {
		t.Fatalf("Sequence() = %+v, %v, want the other three that the first scan saw", second, err)
	}
	third, err := session.Sequence(t.Context(), eventlog.Mark{Next: first.Snapshot.Xmax, Open: first.Snapshot.Open}, 4)
	if err != nil || third.Events != 2 {
		t.Fatalf("Sequence() = %+v, %v, want what has come since", third, err)
	}
	var types []string
	for _, e := range all(t, db) {
		types = append(types, string(e.Type))
	}
	if got, want := fmt.Sprint(types), "[seen-0 seen-1 seen-2 seen-3 seen-4 seen-5 late-1 late-2]"; got != want {
		t.Errorf("the log has %s, want %s", got, want)
	}
}

// Should two sessions ever hold the lead, the one that is behind appends nothing,
// whether the rows that it finds are those that the other one took or not.
func TestALeaderThatIsBehindAppendsNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		others, limit int
	}{{"other rows", 0, 10}, {"fewer rows", 1, 1}, {"more rows", 1, 10}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := openSmall(t, 0)
			old := lead(t, db)
			post(t, db, 3, "all")
			newer := postgres.LeadAnyway(t, db)
			if batch, err := newer.Sequence(t.Context(), eventlog.Mark{}, 2); err != nil || batch.Events != 2 {
				t.Fatalf("Sequence() = %+v, %v, want two events", batch, err)
			}
			if tt.others > 0 {
				post(t, db, tt.others, "all")
			}
			before := all(t, db)
			if batch, err := old.Sequence(t.Context(), eventlog.Mark{}, tt.limit); err == nil {
				t.Errorf("Sequence() = %+v, want an error", batch)
			}
			if diff := cmp.Diff(before, all(t, db)); diff != "" {
				t.Errorf("the log changed:\n%s", diff)
			}
			var left int
			if err := db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM herald.outbox").Scan(&left); err != nil || left != 1+tt.others {
				t.Errorf("%d rows are left in the outbox (%v), want all of them", left, err)
			}
			checkChain(t, db)
		})
	}
}

// A log that was written before it had partitions and a chain gets them, and
// keeps every event.
func TestMigratingKeepsTheLog(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	db, err := postgres.Open(t.Context(), url, postgres.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	post(t, db, 10_001, "user:a", "user:b", "user:c")
	drain(t, db)
	before := all(t, db)
	if err := postgres.MigrateTo(t.Context(), url, 4); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db.Pool().Reset()
	batches := checkChain(t, db)
	if len(batches) != 3 {
		t.Errorf("%d batches, want 3", len(batches))
	}
	for _, b := range batches {
		if last := before[b.Last-1].RecordedAt; !b.RecordedAt.Equal(last) {
			t.Errorf("the batch to %d is of %v, want its last event's %v", b.Last, b.RecordedAt, last)
		}
	}
	if diff := cmp.Diff(before, all(t, db)); diff != "" || len(before) != 10_001 {
		t.Errorf("%d events became others:\n%s", len(before), diff)
	}
	if events, err := db.EventsOfTopics(t.Context(), []event.Topic{"user:c"}, 10_000, 20_000, 9); err != nil || len(events) != 1 {
		t.Errorf("EventsOfTopics() = %d events, %v, want the last one", len(events), err)
	}
	post(t, db, 1, "all")
	if head := drain(t, db); head != 10_002 {
		t.Errorf("the log goes on to %d, want 10002", head)
	}
}
