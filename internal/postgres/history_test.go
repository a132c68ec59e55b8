package postgres_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"herald/internal/event"
	"herald/internal/eventlog"
	"herald/internal/postgres"
)

// longLog has three partitions of events that all concern user:a, by their first, their
// second or their third topic.
func longLog(t *testing.T) *postgres.DB {
	t.Helper()
	db := openSmall(t, 7000)
	session := lead(t, db)
	execSQL(t, db, `INSERT INTO herald.outbox (event_id, type, topics, actor, payload)
		SELECT gen_random_uuid(), CASE WHEN n = 5 THEN 'order.rare' WHEN n % 10 = 0 THEN 'order.paid' ELSE 'order_sent' END,
			CASE n % 3 WHEN 0 THEN ARRAY['user:a', 'channel:x'] WHEN 1 THEN ARRAY['channel:y', 'user:a']
				ELSE ARRAY['channel:y', 'channel:z', 'user:a'] END,
			CASE WHEN n IN (1, 9500, 18000) THEN 'rare' ELSE 'usual' END, '{}'
		FROM generate_series(1, 18000) n`)
	for mark, more := (eventlog.Mark{}), true; more; {
		batch, err := session.Sequence(t.Context(), mark, 2500)
		if err != nil {
			t.Fatal(err)
		}
		mark, more = mark.Following(batch), batch.Head < 18000
	}
	return db
}

// search is a query that no index finds all of, and what it has to find.
type search struct {
	query event.Query
	want  []event.Seq
}

func searches() map[string]search {
	const rare = "rare"
	return map[string]search{
		"by an actor":               {event.Query{Actor: rare}, []event.Seq{1, 9500, 18000}},
		"of a user":                 {event.Query{User: "a", Actor: rare}, []event.Seq{1, 9500, 18000}},
		"of two topics":             {event.Query{Topics: []event.Topic{"channel:y", "channel:z"}, Actor: rare}, []event.Seq{1, 9500}},
		"of a user and a topic":     {event.Query{User: "a", Topics: []event.Topic{"channel:z"}, Actor: rare}, []event.Seq{9500}},
		"of many topics":            {event.Query{Topics: []event.Topic{"all", "user:b", "user:c", "user:d", "user:a"}, Actor: rare}, []event.Seq{1, 9500, 18000}},
		"of a type":                 {event.Query{Types: []string{"order_sent"}, Actor: rare}, []event.Seq{1}},
		"of types":                  {event.Query{Types: []string{"order_sent", "order.*"}, Actor: rare}, []event.Seq{1, 9500, 18000}},
		"of a user and a type":      {event.Query{User: "a", Types: []string{"order.rare"}}, []event.Seq{5}},
		"of a topic and any type":   {event.Query{Topics: []event.Topic{"channel:y"}, Types: []string{"order_sent", "order.*"}, Actor: rare}, []event.Seq{1, 9500}},
		"of a user who has none":    {event.Query{User: "b", Types: []string{"order.paid"}}, nil},
		"of a user, by no such":     {event.Query{User: "a", Actor: "nobody"}, nil},
		"of a type that is no more": {event.Query{User: "a", Types: []string{"order.gone"}}, nil},
	}
}

// What no index finds is looked for in bounded time: a page may be short, and
// says how far it came. No page skips or repeats anything, either way.
func TestASparseSearchComesInShortPages(t *testing.T) {
	t.Parallel()
	db := longLog(t)
	short := 0
	for name, tt := range searches() {
		for _, patience := range []time.Duration{0, time.Nanosecond} {
			for _, backward := range []bool{false, true} {
				want := slices.Clone(tt.want)
				if backward {
					slices.Reverse(want)
				}
				q := tt.query
				q.Limit, q.Backward, q.Patience = 2, backward, patience
				got, partial := pages(t, db, q)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s, backward %v, %d short pages: -want +got:\n%s", name, backward, partial, diff)
				}
				if short += partial; patience == 0 && partial > 0 {
					t.Errorf("%s, backward %v: %d short pages without need", name, backward, partial)
				}
			}
		}
	}
	if short < 20 {
		t.Errorf("only %d pages were short", short)
	}
}

// pages reads page after page, and returns what they had and how many were short.
func pages(t *testing.T, db *postgres.DB, q event.Query) (got []event.Seq, partial int) {
	t.Helper()
	for more := true; more; {
		page, err := db.History(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			got = append(got, e.Seq)
		}
		if page.Partial {
			partial++
		}
		if more = page.More; q.Backward {
			q.Before = page.Reached
		} else {
			q.After = page.Reached
		}
	}
	return got, partial
}

// However little Postgres knows of the log, and whether or not it knows what is asked
// for when it plans, no step reads the whole log.
func TestNoStepOfHistoryReadsFar(t *testing.T) {
	t.Parallel()
	const limit, step = 10, 3 * 4002 // of each of three indexes
	db := longLog(t)
	type bounded struct {
		query event.Query
		most  int
	}
	queries := map[string]bounded{
		"everything":      {event.Query{}, limit + 1},
		"a user's":        {event.Query{User: "a"}, 4 * (limit + 1)},
		"of two topics":   {event.Query{Topics: []event.Topic{"user:a", "channel:x"}}, 8 * (limit + 1)},
		"of many topics":  {event.Query{Topics: []event.Topic{"all", "user:b", "user:c", "user:d", "user:a"}}, 4 * (limit + 1)},
		"of a rare type":  {event.Query{Types: []string{"order.rare"}}, 1},
		"of three types":  {event.Query{Types: []string{"order.rare", "order.paid", "order_sent"}}, 8 * (limit + 1)},
		"a user's failed": {event.Query{User: "a", Types: []string{"order.rare"}}, 1},
	}
	for name, tt := range searches() {
		queries[name] = bounded{tt.query, step}
	}
	for _, known := range []string{"", "ANALYZE herald.events, herald.event_topics"} {
		execSQL(t, db, known)
		for _, mode := range []string{"force_generic_plan", "force_custom_plan"} {
			for _, backward := range []bool{false, true} {
				for name, tt := range queries {
					q := tt.query
					q.Limit, q.Backward = limit, backward
					plan, err := postgres.ExplainHistoryIn(t.Context(), db, q, mode)
					if err != nil {
						t.Fatal(err)
					}
					if got := rowsOfPlan(t, plan); got > tt.most || strings.Contains(plan, "Seq Scan") {
						t.Errorf("%s, backward %v, %s, %q: %d rows are read, want %d at most:\n%s", name, backward, mode, known, got, tt.most, plan)
					}
				}
			}
		}
	}
}

// rowsOfPlan is how many rows of tables a plan has read, whether or not it took them.
func rowsOfPlan(t *testing.T, plan string) (sum int) {
	t.Helper()
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	node := regexp.MustCompile(`(\w+ Scan).*\(actual rows=(\d+) loops=(\d+)\)`)
	removed := regexp.MustCompile(`Rows Removed by .*: (\d+)`)
	loops := 0
	for line := range strings.Lines(plan) {
		if m := node.FindStringSubmatch(line); m != nil {
			if loops = number(m[3]); m[1] == "Subquery Scan" || m[1] == "Function Scan" {
				loops = 0
			}
			sum += number(m[2]) * loops
		} else if strings.Contains(line, "(actual ") {
			loops = 0
		} else if m := removed.FindStringSubmatch(line); m != nil {
			sum += number(m[1]) * loops
		}
	}
	if !strings.Contains(plan, "actual rows=") {
		t.Fatalf("not a plan: %s", plan)
	}
	return sum
}
