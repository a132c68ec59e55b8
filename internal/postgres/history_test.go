package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/event"
	"herald/internal/eventlog"
)

// What no index finds is looked for in bounded time: a page may be short, and
// says how far it came. No page skips or repeats anything, either way.
func TestASparseSearchComesInShortPages(t *testing.T) {
	t.Parallel()
	db := openSmall(t, 7000)
	session := lead(t, db)
	execSQL(t, db, `INSERT INTO herald.outbox (event_id, type, topics, actor, payload)
		SELECT gen_random_uuid(), 'order.paid', ARRAY['all'], CASE WHEN n IN (1, 9500, 18000) THEN 'rare' ELSE 'usual' END, '{}'
		FROM generate_series(1, 18000) n`)
	for mark, more := (eventlog.Mark{}), true; more; {
		batch, err := session.Sequence(t.Context(), mark, 2500)
		if err != nil {
			t.Fatal(err)
		}
		mark, more = mark.Following(batch), batch.Head < 18000
	}
	for backward, want := range map[bool][]event.Seq{false: {1, 9500, 18000}, true: {18000, 9500, 1}} {
		var got []event.Seq
		q := event.Query{Actor: "rare", Limit: 2, Backward: backward, Patience: time.Nanosecond}
		short := 0
		for more := true; more; {
			page, err := db.History(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				got = append(got, e.Seq)
			}
			if page.Partial {
				short++
			}
			if more = page.More; backward {
				q.Before = page.Reached
			} else {
				q.After = page.Reached
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || short == 0 {
			t.Errorf("backward %v, %d short pages: -want +got:\n%s", backward, short, diff)
		}
	}
}
