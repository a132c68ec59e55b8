package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"herald/internal/postgres"
	entries "herald/internal/queue"
)

// enter makes entries of the kind in the queue, and returns the last one's id. What
// there is of SQL sets further columns: "state = 'running', …".
func enter(t *testing.T, db *postgres.DB, n int, name, kind, set string, args ...any) (last int64) {
	t.Helper()
	execSQL(t, db, `INSERT INTO herald_queue.river_job (queue, kind, args, max_attempts)
SELECT $1, $2, '{}', 25 FROM generate_series(1, $3::integer)`, name, kind, n)
	if err := db.Pool().QueryRow(t.Context(), `SELECT max(id) FROM herald_queue.river_job`).Scan(&last); err != nil {
		t.Fatal(err)
	}
	if set != "" {
		execSQL(t, db, fmt.Sprintf(`UPDATE herald_queue.river_job SET %s WHERE id > %d`, set, last-int64(n)), args...)
	}
	return last
}

// ended sets a state in which an entry ends, now or a while ago.
func ended(state entries.State, ago time.Duration) string {
	return fmt.Sprintf(`state = '%s', finalized_at = now() - interval '%d ms'`, state, ago.Milliseconds())
}

func overview(t *testing.T, db *postgres.DB) entries.Overview {
	t.Helper()
	o, err := db.QueueOverview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// entryIDs are those of a page.
func entryIDs(p entries.Page) (ids []int64) {
	for _, e := range p.Entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestAnEmptyQueueIsLookedAt(t *testing.T) {
	t.Parallel()
	db := open(t)
	want := entries.Overview{Queues: []entries.Queue{}, Nodes: []entries.Node{}, Kinds: []string{}, MostCounted: 10_000, RateWindow: 300_000}
	if diff := cmp.Diff(want, overview(t, db), cmpopts.IgnoreFields(entries.Overview{}, "At")); diff != "" {
		t.Errorf("QueueOverview() -want +got:\n%s", diff)
	}
	page, err := db.QueueEntries(t.Context(), entries.Filter{Limit: 10})
	if diff := cmp.Diff(entries.Page{Entries: []entries.Entry{}}, page, cmpopts.IgnoreFields(entries.Page{}, "Reached")); err != nil || diff != "" {
		t.Errorf("QueueEntries() = %v, -want +got:\n%s", err, diff)
	}
	if _, err := db.QueueEntry(t.Context(), 1); !errors.Is(err, entries.ErrNotFound) {
		t.Errorf("QueueEntry(1) = %v, want ErrNotFound", err)
	}
}

func TestTheQueuesAtAGlance(t *testing.T) {
	t.Parallel()
	db := open(t)
	now := time.Now()
	at := func(ago time.Duration) *time.Time { return new(now.Add(-ago)) }
	enter(t, db, 2, "default", "video", `scheduled_at = now() - interval '1 minute', priority = 2`)
	enter(t, db, 1, "default", "export", `scheduled_at = now() - interval '5 minutes', priority = 4`)
	enter(t, db, 1, "default", "export", `scheduled_at = now() - interval '5 seconds'`)
	enter(t, db, 3, "default", "video", `state = 'running', attempted_at = now() - interval '20 seconds', attempted_by = '{gone,a}'`)
	enter(t, db, 1, "default", "video", `state = 'running', attempted_at = now() - interval '1 hour', attempted_by = '{b}'`)
	enter(t, db, 10, "errands", "callback", ended(entries.Completed, time.Minute))
	enter(t, db, 7, "errands", "callback", ended(entries.Completed, time.Hour))
	enter(t, db, 5, "errands", "callback", ended(entries.Discarded, time.Minute))
	enter(t, db, 1, "errands", "callback", ended(entries.Cancelled, time.Minute))
	enter(t, db, 1, "errands", "callback", `state = 'retryable', scheduled_at = now() + interval '1 hour'`)
	enter(t, db, 1, "errands", "callback", `state = 'scheduled', scheduled_at = now() + interval '1 minute', priority = 3`)
	execSQL(t, db, `INSERT INTO herald_queue.river_queue (name, paused_at) VALUES ('errands', now() - interval '1 day'), ('idle', NULL)`)
	execSQL(t, db, `INSERT INTO herald.nodes (id) VALUES ('a'), ('c')`)
	execSQL(t, db, `INSERT INTO herald_queue.river_leader (elected_at, expires_at, leader_id) VALUES (now(), now() + interval '1 minute', 'c')`)
	want := entries.Overview{
		At: now, MostCounted: 10_000, RateWindow: 300_000, Kinds: []string{"callback", "export", "video"},
		Queues: []entries.Queue{
			{Name: "default", Counts: map[entries.State]int64{entries.Available: 4, entries.Running: 4}, OldestAt: at(5 * time.Minute)},
			{
				Name: "errands", PausedAt: at(24 * time.Hour), NextAt: at(-time.Minute), Completed: 2, Discarded: 1, Counts: map[entries.State]int64{
					entries.Completed: 17, entries.Discarded: 5, entries.Cancelled: 1, entries.Retryable: 1, entries.Scheduled: 1,
				},
			},
			{Name: "idle", Counts: map[entries.State]int64{}},
		},
		Nodes: []entries.Node{
			{Name: "a", Running: 3, OldestAt: at(20 * time.Second), StartedAt: &now, Heartbeat: &now},
			{Name: "b", Running: 1, OldestAt: at(time.Hour)},
			{Name: "c", Leads: true, StartedAt: &now, Heartbeat: &now},
		},
	}
	if diff := cmp.Diff(want, overview(t, db), lately()); diff != "" {
		t.Errorf("QueueOverview() -want +got:\n%s", diff)
	}
}

// What is counted has a bound, and a rate is then that of what is counted.
func TestLongQueuesAreCountedUpToABound(t *testing.T) {
	t.Parallel()
	db := open(t)
	enter(t, db, 12_000, "default", "video", ended(entries.Completed, time.Minute))
	enter(t, db, 12_000, "default", "video", "")
	q := overview(t, db).Queues[0]
	if diff := cmp.Diff(map[entries.State]int64{entries.Completed: 10_000, entries.Available: 10_000}, q.Counts); diff != "" {
		t.Errorf("Counts -want +got:\n%s", diff)
	}
	if q.Completed < 5_000 || q.Completed > 10_000 {
		t.Errorf("%v a minute, want about 10,000 in the minute since the last", q.Completed)
	}
}

func TestEntriesByPages(t *testing.T) {
	t.Parallel()
	db := open(t)
	enter(t, db, 11_000, "default", "video", ended(entries.Completed, time.Hour))
	callbacks := enter(t, db, 3, "errands", "callback", `state = 'retryable'`)
	last := enter(t, db, 11_000, "default", "video", ended(entries.Completed, time.Minute))
	running := enter(t, db, 2, "default", "video", `state = 'running', attempted_at = now(), attempted_by = '{a}'`)
	first := enter(t, db, 1, "default", "export", "")
	for _, tt := range []struct {
		name   string
		filter entries.Filter
		want   []int64
		more   bool
	}{
		{"all", entries.Filter{Limit: 3}, []int64{first, running, running - 1}, true},
		{"the next of all", entries.Filter{Limit: 2, Before: running - 1}, []int64{last, last - 1}, true},
		{"a state that is rare", entries.Filter{State: entries.Running, Limit: 5}, []int64{running, running - 1}, false},
		{"the next of it", entries.Filter{State: entries.Running, Before: running, Limit: 5}, []int64{running - 1}, false},
		{"a state that is common", entries.Filter{State: entries.Completed, Limit: 2}, []int64{last, last - 1}, true},
		{"far back", entries.Filter{State: entries.Completed, Before: 3, Limit: 5}, []int64{2, 1}, false},
		{"across a gap", entries.Filter{State: entries.Completed, Before: last - 10_998, Limit: 2}, []int64{last - 10_999, callbacks - 3}, true},
		{"a queue", entries.Filter{Queue: "errands", Limit: 2}, []int64{callbacks, callbacks - 1}, true},
		{"a queue that is long", entries.Filter{Queue: "default", Limit: 2}, []int64{first, running}, true},
		{"a kind", entries.Filter{Kind: "callback", Limit: 3}, []int64{callbacks, callbacks - 1, callbacks - 2}, false},
		{"a kind that is common", entries.Filter{Kind: "video", Limit: 1}, []int64{running}, true},
		{"a kind in a state that is common", entries.Filter{State: entries.Completed, Kind: "callback", Limit: 3}, nil, false},
		{"a kind in a state", entries.Filter{State: entries.Retryable, Kind: "callback", Limit: 3}, []int64{callbacks, callbacks - 1, callbacks - 2}, false},
		{"all at once", entries.Filter{State: entries.Running, Queue: "default", Kind: "video", Limit: 1}, []int64{running}, true},
		{"nothing", entries.Filter{State: entries.Running, Queue: "errands", Limit: 1}, nil, false},
		{"no such state", entries.Filter{State: "'; SELECT 1; --", Limit: 1}, nil, false},
		{"no such queue", entries.Filter{Queue: "none", Limit: 1}, nil, false},
	} {
		page, err := db.QueueEntries(t.Context(), tt.filter)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, entryIDs(page)); diff != "" || page.More != tt.more || page.Partial {
			t.Errorf("%s: more %v, partial %v, -want +got:\n%s", tt.name, page.More, page.Partial, diff)
		}
		if n := len(tt.want); page.More && page.Reached != tt.want[n-1] {
			t.Errorf("%s: to be gone on before %d, want %d", tt.name, page.Reached, tt.want[n-1])
		}
	}
}

// With no patience left, a page says how far it has come, and the next goes on from
// there.
func TestEntriesAreLookedForWithPatience(t *testing.T) {
	t.Parallel()
	db := open(t)
	oldest := enter(t, db, 10_001, "errands", "callback", "")
	enter(t, db, 10_001, "default", "video", "")
	f := entries.Filter{Queue: "errands", Limit: 1, Patience: time.Nanosecond}
	for pages := 0; ; pages++ {
		page, err := db.QueueEntries(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Entries) > 0 {
			if page.Entries[0].ID != oldest || page.Partial || pages < 2 {
				t.Errorf("after %d pages: %v, partial %v, want %d", pages, entryIDs(page), page.Partial, oldest)
			}
			return
		}
		if !page.More || !page.Partial || page.Reached >= f.Before && f.Before > 0 {
			t.Fatalf("after %d pages: more %v, partial %v, reached %d", pages, page.More, page.Partial, page.Reached)
		}
		f.Before = page.Reached
	}
}

func TestAnEntryHasItsJobAndItsErrors(t *testing.T) {
	t.Parallel()
	db := open(t)
	j := create(t, db, &queue{})
	id := enter(t, db, 1, "errands", "callback", `args = jsonb_build_object('job_id', $1::uuid), state = 'retryable', attempt = 2,
attempted_at = now(), attempted_by = '{a,b}', errors = ARRAY['{"at":"2026-01-02T03:04:05Z","attempt":1,"error":"no answer","trace":""}',
'{"at":"2026-01-02T03:05:05Z","attempt":2,"error":"refused","trace":"main.go:7"}']::jsonb[]`, j.ID)
	got, err := db.QueueEntry(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	want := entries.EntryDetails{
		Entry: entries.Entry{
			ID: id, Queue: "errands", Kind: "callback", State: entries.Retryable, Priority: 1, Attempt: 2, MaxAttempts: 25,
			CreatedAt: now, ScheduledAt: now, AttemptedAt: &now, Node: "b", Error: "refused", Job: &entries.EntryJob{ID: j.ID, Title: "a test", Owner: "demo"},
		},
		Nodes: []string{"a", "b"},
		Errors: []entries.EntryFailure{
			{At: time.Date(2026, 1, 2, 3, 5, 5, 0, time.UTC), Attempt: 2, Error: "refused", Trace: "main.go:7"},
			{At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Attempt: 1, Error: "no answer"},
		},
	}
	if diff := cmp.Diff(want, got, lately()); diff != "" {
		t.Errorf("QueueEntry() -want +got:\n%s", diff)
	}
	gone := uuid.New()
	for args, want := range map[string]*entries.EntryJob{
		`{"job_id":"` + gone.String() + `"}`: {ID: gone}, `{"job_id":"x"}`: nil, `{"job_id":7}`: nil, `[]`: nil,
	} {
		execSQL(t, db, `UPDATE herald_queue.river_job SET args = $1::text::jsonb WHERE id = $2`, args, id)
		d, err := db.QueueEntry(t.Context(), id)
		if diff := cmp.Diff(want, d.Job); err != nil || diff != "" {
			t.Errorf("with the args %s: %v, -want +got:\n%s", args, err, diff)
		}
	}
}

// A database that is slow ends the statement, not the patience of who waits.
func TestALookIntoTheQueueEnds(t *testing.T) {
	t.Parallel()
	db := open(t)
	err := pgx.BeginFunc(t.Context(), db.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `LOCK TABLE herald_queue.river_job`); err != nil {
			return err
		}
		_, err := db.QueueEntries(t.Context(), entries.Filter{Limit: 1})
		return err
	})
	if !errors.Is(err, entries.ErrTooSlow) {
		t.Errorf("QueueEntries() = %v, want ErrTooSlow", err)
	}
}
